#include "launch/startup.h"

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <exception>

#include "launch/exit_codes.h"
#include "launch/signals.h"

namespace terse::launch {
namespace {

// An exception in a destructor or a noexcept function cannot be caught; it still has to say what it was.
[[noreturn]] void terminate() {
  if (const std::exception_ptr error = std::current_exception(); error != nullptr)
    fmt::print(stderr, "terse: {}\n", describe_failure(error).message);
  else
    fmt::print(stderr, "terse: internal error: std::terminate without an exception. Please report this bug.\n");
  std::fflush(stderr);
  _exit(kBug);
}

}  // namespace

void prepare_process() {
  std::setlocale(LC_ALL, "C");
  // glibc returns every large tensor to the system when it is freed and faults its pages in again for the next one;
  // training asks for the same sizes at every step.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  ignore_broken_pipes();
  std::set_terminate(terminate);
}

}  // namespace terse::launch
