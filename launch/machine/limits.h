// Limits of this process and its surroundings that stop a run or slow it down.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace terse::launch {

struct Limits {
  int64_t open_files = 0;        // soft limit; -1: none
  int64_t open_files_hard = 0;   // up to which a user may raise it; -1: none
  int64_t shm_bytes = 0;         // size of /dev/shm; 0: not there
  std::filesystem::path runs;    // where run folders go
  std::filesystem::path disk;    // the existing folder that was looked at for `runs`
  int64_t disk_free_bytes = -1;  // for this user; -1: the file system does not tell
  bool disk_writable = false;
  std::string locale;  // LC_ALL, LC_CTYPE or LANG, whichever counts; "C" when none is set
  bool utf8 = false;
};

Limits inspect_limits(const std::filesystem::path& runs);
nlohmann::json to_json(const Limits& limits);

}  // namespace terse::launch
