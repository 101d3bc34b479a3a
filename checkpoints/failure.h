// Exceptions as texts that ranks send each other. A failure on one rank is thrown on all of them.
#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <string>
#include <string_view>

namespace terse::checkpoints {

// Whether the error means that the host or a device has no memory left. LibTorch shows this in the type of the
// exception or in its message.
bool is_out_of_memory(const c10::Error& error);

// Returns the exception with `where` before its message. The result has a type that failure_text() keeps: DiskError,
// std::invalid_argument, DataError, ResourceError, Interrupted (without `where`), or std::logic_error for the rest.
std::exception_ptr with_context(const std::exception_ptr& failure, const std::string& where);

// Encodes an exception as JSON. Replaces bytes that are not UTF-8, which a file name may contain.
std::string failure_text(const std::exception_ptr& failure);
// Returns the exception that failure_text() encoded, with a type of with_context(). Throws DataError for any other
// text.
std::exception_ptr parse_failure(std::string_view text);

}  // namespace terse::checkpoints
