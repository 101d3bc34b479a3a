// Describes limits of this process and its surroundings that stop a run or slow it down.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace terse::launch {

struct Limits {
  int64_t open_files = 0;        // soft limit; -1: none
  int64_t open_files_hard = 0;   // hard limit: a user may raise the soft one up to it; -1: none
  int64_t shm_bytes = 0;         // size of /dev/shm; 0: not there
  std::filesystem::path runs;    // folder that run folders are created in
  std::filesystem::path disk;    // `runs`, or its nearest parent that exists; the fields below are about it
  int64_t disk_free_bytes = -1;  // for this user; -1: the file system does not report it
  bool disk_writable = false;
  std::string locale;  // the first of LC_ALL, LC_CTYPE and LANG that is set; "C" when none is
  bool utf8 = false;
};

// `runs` need not exist.
Limits inspect_limits(const std::filesystem::path& runs);
nlohmann::json to_json(const Limits& limits);

}  // namespace terse::launch
