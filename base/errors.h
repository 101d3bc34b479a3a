// The errors that a user, the machine or the system can cause. launch/exit_codes.cpp gives each its exit code. A
// mistake in terse itself is a std::logic_error, and nothing throws a bare std::runtime_error: scripts/check_errors
// sees to that.
#pragma once

#include <stdexcept>
#include <string>

namespace terse {

// All mistakes of a configuration at once, ready to print; or a run that does not fit what it is given. Exit code 78.
// One line per mistake: "configs/my.yaml:12:3: unknown key 'hedas' in model; did you mean model.heads?".
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// This machine, its launcher or its libraries cannot run what was asked for. The message says what would. Exit code 78.
class MachineError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Training has diverged: a loss, a gradient or logits are not finite. The message says what to change. Exit code 78.
class DivergedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A file that cannot be used: damaged, not what it claims to be, or text that the tokenizer cannot write. The message
// names the file, the place in it, what was found and what was expected. Exit code 65.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The system refused to open, read or write a file. The message names the operation, the path and the cause. Exit code
// 74, unless the number of the error says that something else ran out (launch/system_errors.h).
class DiskError : public std::runtime_error {
 public:
  explicit DiskError(const std::string& message, int error = 0) : std::runtime_error(message), error_(error) {}
  int error() const { return error_; }  // errno, or 0 when no system call failed

 private:
  int error_;
};

// The machine has no more memory, threads or open files. The message says for what. Exit code 71.
class ResourceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Messages between ranks no longer arrive, because a rank, its machine or the network is lost. Exit code 76.
class LostError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace terse
