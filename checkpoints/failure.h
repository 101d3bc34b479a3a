// An exception in a form that can be sent to other ranks. A failure on one rank is thrown on all of them.
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

// Whether the error means that the host or a device has no memory left. LibTorch shows this in the type of the
// exception or in its message.
bool is_out_of_memory(const c10::Error& error);

// Converts an exception, with `where` before its message.
Failure failure_of(const std::exception_ptr& exception, const std::string& where = "");
// Throws DiskError, std::invalid_argument, DataError, ResourceError, Interrupted, or std::logic_error for the rest.
[[noreturn]] void raise(const Failure& failure);

// Encodes a failure as JSON. Replaces bytes that are not UTF-8, which a file name may contain.
std::string failure_text(const Failure& failure);
// Decodes the text of failure_text(). Throws DataError for any other text.
Failure parse_failure(std::string_view text);

}  // namespace terse::checkpoints
