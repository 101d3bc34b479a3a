// Reads uname() and /etc/os-release.
#include "launch/machine/host.h"

#include <sys/utsname.h>

#include <fstream>

namespace terse::launch {

std::string host_name() {
  utsname names{};
  return uname(&names) == 0 ? names.nodename : "unknown";
}

std::string system_name() {
  std::string pretty = "unknown system";
  const std::string key = "PRETTY_NAME=";
  std::ifstream file("/etc/os-release");
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    pretty = line.substr(key.size());
    std::erase(pretty, '"');
  }
  utsname names{};
  return uname(&names) == 0 ? pretty + ", " + names.sysname + " " + names.release : pretty;
}

}  // namespace terse::launch
