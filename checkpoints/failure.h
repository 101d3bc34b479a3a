// An exception on its way to other processes: what goes wrong on one rank is thrown on all of them.
#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <nlohmann/json.hpp>
#include <string>

namespace terse::checkpoints {

struct Failure {
  enum class Kind { kDisk, kArgument, kCorrupt, kMemory, kInterrupted, kOther };
  Kind kind = Kind::kOther;
  std::string message;
  int error = 0;  // errno of a DiskError
};

// Whether LibTorch had no memory, on the host or a device. It says so in the type of the exception or in its message.
bool is_out_of_memory(const c10::Error& error);

// The exception with `where` before its message.
Failure failure_of(const std::exception_ptr& exception, const std::string& where = "");
// Throws DiskError, std::invalid_argument, DataError, ResourceError, Interrupted, or std::logic_error for the rest.
[[noreturn]] void raise(const Failure& failure);

// Text that is not UTF-8, as file names may be, is replaced.
std::string failure_text(const Failure& failure);
// Throws DataError for what failure_text() does not write.
Failure parse_failure(std::string_view text);

}  // namespace terse::checkpoints
