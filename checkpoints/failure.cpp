// Converts exceptions to JSON and back.
#include "checkpoints/failure.h"

#include <new>
#include <string_view>
#include <system_error>

#include "checkpoints/format/manifest.h"

namespace terse::checkpoints {

bool is_out_of_memory(const c10::Error& error) {
  const std::string_view what = error.what_without_backtrace();
  const auto says = [what](std::string_view words) { return what.find(words) != std::string_view::npos; };
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr || says("DefaultCPUAllocator") ||
         says("out of memory") || says("_ALLOC_FAILED");
}

Failure failure_of(const std::exception_ptr& exception, const std::string& where) {
  try {
    std::rethrow_exception(exception);
  } catch (const DiskError& error) {
    return {Failure::Kind::kDisk, where + error.what(), error.error()};
  } catch (const DataError& error) {
    return {Failure::Kind::kCorrupt, where + error.what(), 0};
  } catch (const Interrupted& error) {
    return {Failure::Kind::kInterrupted, error.what(), 0};
  } catch (const ResourceError& error) {
    return {Failure::Kind::kMemory, where + error.what(), 0};
  } catch (const std::bad_alloc& error) {
    return {Failure::Kind::kMemory, where + "a memory allocation failed", 0};
  } catch (const c10::Error& error) {
    const Failure::Kind kind = is_out_of_memory(error) ? Failure::Kind::kMemory : Failure::Kind::kOther;
    return {kind, where + error.what_without_backtrace(), 0};
  } catch (const std::system_error& error) {
    return {Failure::Kind::kDisk, where + error.what(), error.code().value()};
  } catch (const std::invalid_argument& error) {
    return {Failure::Kind::kArgument, where + error.what(), 0};
  } catch (const std::exception& error) {
    return {Failure::Kind::kOther, where + error.what(), 0};
  }
}

void raise(const Failure& failure) {
  switch (failure.kind) {
    case Failure::Kind::kDisk:
      throw DiskError(failure.message, failure.error);
    case Failure::Kind::kArgument:
      throw std::invalid_argument(failure.message);
    case Failure::Kind::kCorrupt:
      throw DataError(failure.message);
    case Failure::Kind::kMemory:
      throw ResourceError(failure.message);
    case Failure::Kind::kInterrupted:
      throw Interrupted(failure.message);
    case Failure::Kind::kOther:
      throw std::logic_error(failure.message);
  }
  throw std::logic_error("unknown kind of failure");
}

std::string failure_text(const Failure& failure) {
  const nlohmann::json document = {
      {"kind", static_cast<int>(failure.kind)}, {"message", failure.message}, {"errno", failure.error}};
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Failure parse_failure(std::string_view text) {
  const nlohmann::json document = parse_json(text);
  try {
    const int kind = document.at("kind");
    if (kind < 0 || kind > static_cast<int>(Failure::Kind::kOther)) {
      throw DataError("its \"kind\" of failure is unknown");
    }
    return {static_cast<Failure::Kind>(kind), document.at("message"), document.at("errno")};
  } catch (const nlohmann::json::exception& error) {
    throw DataError(std::string("it does not describe a failure: ") + error.what());
  }
}

}  // namespace terse::checkpoints
