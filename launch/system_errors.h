// Exit code and advice for each system error number (errno).
#pragma once

#include <span>

namespace terse::launch {

struct SystemError {
  int number = 0;
  int code = 0;                // exit code, for an error that names a file and for one that does not
  const char* advice = "";     // sentences behind the message
  bool only_of_files = false;  // without a file, as from a thread or a lock, it is a bug
};

// Every number that the table knows.
std::span<const SystemError> system_errors();

// Of an error with this number. `of_file`: the error names a file or folder. A number that the table does not know is
// the disk's (74) for a file, and else a bug (70).
SystemError system_error(int number, bool of_file);

}  // namespace terse::launch
