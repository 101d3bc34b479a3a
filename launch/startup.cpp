#include "launch/startup.h"

#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>

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

// OpenMP's threads spin for milliseconds at every barrier. Where another program wants the same cores, they spin while
// the thread they wait for is not running: beside a second training run on 2 cores this one was 16 times slower than
// with short spins, which cost nothing measurable on a quiet machine. The library reads the setting when it is loaded,
// before main(), so the program has to start anew.
void shorten_spins(char** arguments) {
  if (getenv("OMP_WAIT_POLICY") != nullptr || getenv("GOMP_SPINCOUNT") != nullptr) return;
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return;
  setenv("GOMP_SPINCOUNT", "2000", 1);
  execv(program.c_str(), arguments);  // returns only when it fails; then it goes on as it is
}

}  // namespace

void prepare_process(char** arguments) {
  shorten_spins(arguments);
  std::setlocale(LC_ALL, "C");
  // glibc returns every large tensor to the system when it is freed and faults its pages in again for the next one;
  // training asks for the same sizes at every step.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  ignore_broken_pipes();
  std::set_terminate(terminate);
}

void end_process(int code) {
#ifdef __SANITIZE_ADDRESS__
  std::exit(code);  // which looks for leaks
#endif
  std::fflush(nullptr);
  _exit(code);
}

}  // namespace terse::launch
