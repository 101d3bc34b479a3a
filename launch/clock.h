// Wall-clock time as the files of a run folder write it.
#pragma once

#include <string>

namespace terse::launch {

std::string utc_now();  // "2026-11-21T07:15:48Z"

}  // namespace terse::launch
