#include "launch/exit_codes.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cerrno>
#include <new>
#include <string_view>
#include <system_error>

#include "checkpoints/store.h"
#include "configs/load.h"
#include "data/errors.h"
#include "launch/machine/libraries.h"
#include "launch/starts.h"
#include "trainer/dist/watch.h"
#include "trainer/interrupts.h"

namespace terse::launch {
namespace {

constexpr const char* kLowerMemory =
    "To need less, lower engine.max_batch, rl.micro_batch or sft.micro_batch, or set "
    "model.activation_checkpointing=true.";

Failure bug(std::string_view what) {
  return {
      kBug,
      fmt::format(
          "internal error: {}\nThis is a bug in terse {} (commit {}). Please report it with the command line and the "
          "run folder's log.txt.",
          what, build().version, commit_text(build()))};
}

Failure out_of_memory(std::string_view what) {
  return {kOutOfMemory, fmt::format("out of memory: {}\n{}", what, kLowerMemory)};
}

Failure describe_system_error(const std::system_error& error) {
  const int number =
      error.code().category() == std::generic_category() || error.code().category() == std::system_category()
          ? error.code().value()
          : 0;
  switch (number) {
    case ENOMEM:
      return out_of_memory(error.what());
    case ENOSPC:
    case EDQUOT:
      return {kDisk,
              fmt::format("the disk is full: {}\nFree some space, then run the same command again.", error.what())};
    case EPIPE:
      return {kDisk, {}};  // the reader of our output went away; there is nobody to tell
    default:
      break;
  }
  if (number == EIO || number == EROFS || dynamic_cast<const std::filesystem::filesystem_error*>(&error) != nullptr)
    return {kDisk, error.what()};
  return bug(error.what());
}

Failure describe_torch_error(const c10::Error& error) {
  const std::string what = error.what_without_backtrace();
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
      what.find("DefaultCPUAllocator") != std::string::npos)
    return out_of_memory(what);
  return bug(error.what());
}

Failure describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const UsageError& usage) {
    return {kUsage, usage.what()};
  } catch (const configs::ConfigError& config) {
    return {kBadConfig, config.what()};
  } catch (const checkpoints::CorruptError& corrupt) {
    return {kCorrupt, corrupt.what()};
  } catch (const data::DataError& corrupt) {
    return {kCorrupt, corrupt.what()};
  } catch (const checkpoints::DiskError& disk) {
    return {kDisk, disk.what()};
  } catch (const data::DiskError& disk) {
    return {kDisk, disk.what()};
  } catch (const trainer::SavedAndStopped& saved) {
    return {kSavedPleaseRequeue, saved.what()};
  } catch (const NoProgress& stuck) {
    return {kDoNotRequeue, stuck.what()};
  } catch (const std::bad_alloc&) {
    return out_of_memory("this machine's memory is used up");
  } catch (const c10::Error& torch) {
    return describe_torch_error(torch);
  } catch (const std::system_error& system) {
    return describe_system_error(system);
  } catch (const std::exception& other) {
    return bug(other.what());
  } catch (...) {
    return bug("an exception of unknown type");
  }
}

}  // namespace

Failure describe_failure(const std::exception_ptr& error) noexcept {
  try {
    return describe(error);
  } catch (...) {  // no memory even for the message
    return {kOutOfMemory, {}};
  }
}

static_assert(kHang == trainer::kExitHang);

std::string exit_code_help() {
  return "Exit codes: 0 done; 64 wrong command line, or the run folder is in use; 65 corrupt data and nothing to fall "
         "back to; 70 a bug;\n"
         "71 out of memory; 74 disk; 75 saved on a signal, 76 a rank hung or was lost: the same command continues;\n"
         "78 bad configuration; 93 no progress since several starts, do not requeue.";
}

}  // namespace terse::launch
