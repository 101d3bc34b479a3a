// The exit codes of `terse`, and the one place where exceptions become an exit code and a message.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

namespace terse::launch {

enum ExitCode : int {
  kDone = 0,
  kUsage = 64,               // wrong command line, or a run folder that another process holds
  kCorrupt = 65,             // corrupt data and nothing to fall back to
  kBug = 70,                 // a bug in terse
  kOutOfMemory = 71,         // the device or the host is out of memory, threads or open files
  kDisk = 74,                // the disk refused a read or a write
  kSavedPleaseRequeue = 75,  // saved on a signal: the same command continues
  kHang = 76,                // a rank hung or was lost: the same command continues
  kBadConfig = 78,     // bad configuration, a run folder or a machine that does not fit it, or training that diverged
  kDoNotRequeue = 93,  // the last starts made no progress: another one will not help
  kSecondInterrupt = 130,  // a second Ctrl-C: the process exited at once, without saving
};

// The user asked for something that cannot be done. The message names the mistake and what would work. Exit code 64.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Runs `work` on input of the user. Turns its std::invalid_argument into a UsageError: the user made a mistake, and
// terse has no bug.
template <typename Work>
auto on_user_input(Work&& work) {
  try {
    return work();
  } catch (const std::invalid_argument& error) {
    throw UsageError(error.what());
  }
}

struct Failure {
  int code = kBug;
  std::string message;  // a paragraph for standard error, without a trailing newline; empty: nothing is printed
};

// Maps `error` to its exit code and its message. Never throws.
Failure describe_failure(const std::exception_ptr& error) noexcept;

// Flushes standard output, prints the failure on standard error and returns its exit code.
int tell_failure(const std::exception_ptr& error) noexcept;

// Returns the table of exit codes that `terse --help` prints.
std::string exit_code_help();

}  // namespace terse::launch
