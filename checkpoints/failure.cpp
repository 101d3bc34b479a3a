// Converts exceptions to JSON and back.
#include "checkpoints/failure.h"

#include <new>
#include <nlohmann/json.hpp>
#include <system_error>

#include "checkpoints/format/manifest.h"

namespace terse::checkpoints {

namespace {

// The types of exception that a text tells apart.
enum class Kind { kDisk, kArgument, kCorrupt, kMemory, kInterrupted, kOther };

// Holds the parts of an exception that a text keeps.
struct Content {
  Kind kind = Kind::kOther;
  std::string message;
  int error = 0;  // errno of a DiskError
};

Content content_of(const std::exception_ptr& failure, const std::string& where) {
  try {
    std::rethrow_exception(failure);
  } catch (const DiskError& error) {
    return {Kind::kDisk, where + error.what(), error.error()};
  } catch (const DataError& error) {
    return {Kind::kCorrupt, where + error.what(), 0};
  } catch (const Interrupted& error) {
    return {Kind::kInterrupted, error.what(), 0};
  } catch (const ResourceError& error) {
    return {Kind::kMemory, where + error.what(), 0};
  } catch (const std::bad_alloc& error) {
    return {Kind::kMemory, where + "a memory allocation failed", 0};
  } catch (const c10::Error& error) {
    return {is_out_of_memory(error) ? Kind::kMemory : Kind::kOther, where + error.what_without_backtrace(), 0};
  } catch (const std::system_error& error) {
    return {Kind::kDisk, where + error.what(), error.code().value()};
  } catch (const std::invalid_argument& error) {
    return {Kind::kArgument, where + error.what(), 0};
  } catch (const std::exception& error) {
    return {Kind::kOther, where + error.what(), 0};
  }
}

std::exception_ptr exception_with(const Content& content) {
  switch (content.kind) {
    case Kind::kDisk:
      return std::make_exception_ptr(DiskError(content.message, content.error));
    case Kind::kArgument:
      return std::make_exception_ptr(std::invalid_argument(content.message));
    case Kind::kCorrupt:
      return std::make_exception_ptr(DataError(content.message));
    case Kind::kMemory:
      return std::make_exception_ptr(ResourceError(content.message));
    case Kind::kInterrupted:
      return std::make_exception_ptr(Interrupted(content.message));
    case Kind::kOther:
      break;
  }
  return std::make_exception_ptr(std::logic_error(content.message));
}

}  // namespace

bool is_out_of_memory(const c10::Error& error) {
  const std::string_view what = error.what_without_backtrace();
  const auto says = [what](std::string_view words) { return what.find(words) != std::string_view::npos; };
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr || says("DefaultCPUAllocator") ||
         says("out of memory") || says("_ALLOC_FAILED");
}

std::exception_ptr with_context(const std::exception_ptr& failure, const std::string& where) {
  return exception_with(content_of(failure, where));
}

std::string failure_text(const std::exception_ptr& failure) {
  const Content content = content_of(failure, "");
  const nlohmann::json document = {
      {"kind", static_cast<int>(content.kind)}, {"message", content.message}, {"errno", content.error}};
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::exception_ptr parse_failure(std::string_view text) {
  const nlohmann::json document = parse_json(text);
  try {
    const int kind = document.at("kind");
    if (kind < 0 || kind > static_cast<int>(Kind::kOther)) throw DataError("its \"kind\" of failure is unknown");
    return exception_with({static_cast<Kind>(kind), document.at("message"), document.at("errno")});
  } catch (const nlohmann::json::exception& error) {
    throw DataError(std::string("it does not describe a failure: ") + error.what());
  }
}

}  // namespace terse::checkpoints
