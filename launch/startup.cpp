#include "launch/startup.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string_view>

#include "launch/exit_codes.h"
#include "launch/output.h"
#include "launch/signals.h"

namespace terse::launch {
namespace {

// An exception in a destructor or a noexcept function cannot be caught; it still has to say what it was.
[[noreturn]] void terminate() {
  int code = kBug;
  if (const std::exception_ptr error = std::current_exception(); error != nullptr) {
    const Failure failure = describe_failure(error);
    code = failure.code;
    warn("terse: {}\n", failure.message);
  } else {
    warn("terse: internal error: std::terminate without an exception. Please report this bug.\n");
  }
  _exit(code);
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

// MKL ends the process with words of its own when it finds no working folder, and it looks while libraries are loaded.
// What stands in .preinit_array comes before that, and before the libraries of sanitizers, so only system calls may be
// used here.
[[gnu::no_sanitize("address", "undefined")]] void require_working_folder(int, char**, char**) {
  char path[PATH_MAX];
  if (syscall(SYS_getcwd, path, sizeof path) >= 0 || errno != ENOENT) return;
  constexpr std::string_view kGone = "terse: the working folder has been removed. Change to another one.\n";
  [[maybe_unused]] const long written = syscall(SYS_write, STDERR_FILENO, kGone.data(), kGone.size());
  _exit(kUsage);
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_libraries)(int, char**,
                                                                             char**) = require_working_folder;

}  // namespace

void prepare_process(char** arguments) {
  open_standard_descriptors();
  shorten_spins(arguments);
  std::setlocale(LC_ALL, "C");
  // glibc returns every large tensor to the system when it is freed and faults its pages in again for the next one;
  // training asks for the same sizes at every step.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  ignore_fatal_writes();
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
