// Defines the errors that a user, the machine or the system can cause. launch/exit_codes.cpp maps each of them to an
// exit code. A bug in terse itself is a std::logic_error. Nothing throws a bare std::runtime_error, which
// scripts/check_errors enforces.
#pragma once

#include <stdexcept>
#include <string>

namespace terse {

// A configuration has mistakes, or a run does not fit its input. Exit code 78. The message lists all mistakes, one per
// line, ready to print: "configs/my.yaml:12:3: unknown key 'hedas' in model; did you mean model.heads?".
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// This machine, its launcher or its libraries cannot run what the user asked for. The message explains what would work.
// Exit code 78.
class MachineError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Training has diverged: a loss, a gradient or logits are not finite. The message recommends a change. Exit code 78.
class DivergedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A file cannot be used: it is damaged, it is not what it claims to be, or it holds text that the tokenizer cannot
// encode. The message names the file, the place in it, what was found and what was expected. Exit code 65.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The system refused to open, read or write a file. The message names the operation, the path and the cause. Exit code
// 74, unless errno shows that another resource ran out (launch/system_errors.h).
class DiskError : public std::runtime_error {
 public:
  explicit DiskError(const std::string& message, int error = 0) : std::runtime_error(message), error_(error) {}
  int error() const { return error_; }  // errno, or 0 when no system call failed

 private:
  int error_;
};

// The machine has no more memory, threads or open files. The message names what needed them. Exit code 71.
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
