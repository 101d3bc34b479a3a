// Maps each system error number (errno) to an exit code and advice.
#pragma once

#include <span>

namespace terse::launch {

struct SystemError {
  int number = 0;
  int code = 0;                // exit code for an error of a file, and for others unless only_of_files
  const char* advice = "";     // sentences that follow the message
  bool only_of_files = false;  // an error without a file, such as one from a thread or a lock, is a bug
};

// Returns all entries of the table.
std::span<const SystemError> system_errors();

// Returns the exit code and the advice for an error number. `of_file`: the error names a file or folder. A number that
// the table does not have is a disk error (74) if it is of a file, and otherwise a bug (70).
SystemError system_error(int number, bool of_file);

}  // namespace terse::launch
