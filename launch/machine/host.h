// Names of this machine and its system.
#pragma once

#include <string>

namespace terse::launch {

std::string host_name();
std::string system_name();  // "Debian GNU/Linux 12 (bookworm), Linux 6.1.0"

}  // namespace terse::launch
