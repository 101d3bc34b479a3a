// Each type of exception has one exit code. An exception of any other type is a bug in terse.
#include "launch/exit_codes.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <new>
#include <string_view>
#include <system_error>

#include "base/errors.h"
#include "checkpoints/failure.h"
#include "launch/machine/libraries.h"
#include "launch/output.h"
#include "launch/run/starts.h"
#include "launch/system_errors.h"
#include "trainer/interrupts.h"
#include "trainer/parallel/watchdog/watchdog.h"

namespace terse::launch {
namespace {

Failure bug(std::string_view what) {
  return {
      kBug,
      fmt::format(
          "internal error: {}\nThis is a bug in terse {} (commit {}). Please report it with the command line and the "
          "run folder's log.txt.",
          what, build().version, commit_text(build()))};
}

// Describes an error of the operating system. The advice for its number follows the message.
Failure of_system(int number, bool of_file, std::string_view what) {
  const SystemError known = system_error(number, of_file);
  if (known.code == kBug) return bug(what);
  const std::string_view lead = number == ENOMEM ? "out of memory: " : "";
  const std::string_view advice = known.advice;
  return {known.code, fmt::format("{}{}{}{}", lead, what, advice.empty() ? "" : "\n", advice)};
}

Failure out_of_memory(std::string_view what) {
  return of_system(ENOMEM, false, what);
}

bool is_errno(const std::error_code& code) {
  return code.category() == std::generic_category() || code.category() == std::system_category();
}

Failure describe_system_error(const std::system_error& error) {
  const int number = is_errno(error.code()) ? error.code().value() : 0;
  const bool of_file = dynamic_cast<const std::filesystem::filesystem_error*>(&error) != nullptr;
  return of_system(number, of_file, error.what());
}

Failure describe_torch_error(const c10::Error& error) {
  if (checkpoints::is_out_of_memory(error)) return out_of_memory(error.what_without_backtrace());
  return bug(error.what());
}

Failure describe(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const UsageError& usage) {
    return {kUsage, usage.what()};
  } catch (const ConfigError& config) {
    return {kBadConfig, config.what()};
  } catch (const MachineError& machine) {
    return {kBadConfig, machine.what()};
  } catch (const DivergedError& diverged) {
    return {kBadConfig, diverged.what()};
  } catch (const DataError& corrupt) {
    return {kCorrupt, corrupt.what()};
  } catch (const DiskError& disk) {
    return of_system(disk.error(), true, disk.what());
  } catch (const ResourceError& used_up) {
    return out_of_memory(used_up.what());
  } catch (const LostError& lost) {
    return {kHang, lost.what()};
  } catch (const trainer::SavedAndStopped& saved) {
    return {kSavedPleaseRequeue, saved.what()};
  } catch (const NoProgress& stuck) {
    return {kDoNotRequeue, stuck.what()};
  } catch (const std::bad_alloc&) {
    return out_of_memory("a memory allocation failed");
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

int tell_failure(const std::exception_ptr& error) noexcept {
  std::fflush(stdout);
  const Failure failure = describe_failure(error);
  if (!failure.message.empty()) warn("terse: {}\n", failure.message);
  return failure.code;
}

static_assert(kHang == trainer::kExitHang);

std::string exit_code_help() {
  return "Exit codes: 0 done; 64 wrong command line, or the run folder is in use; 65 corrupt data without a sound "
         "copy; 70 a bug in terse;\n"
         "71 out of memory, threads or open files; 74 disk error; 75 saved and stopped on a signal, 76 a rank hung or "
         "was lost (after 75\n"
         "and 76 the same command continues the run); 78 wrong configuration, unsuitable machine, or diverged "
         "training; 93 several starts\n"
         "made no progress, do not requeue; 130 a second Ctrl-C stopped the run without saving.";
}

}  // namespace terse::launch
