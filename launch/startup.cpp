// Libraries read some settings while they are loaded, before main(). So this file executes the program again with other
// settings, and it has a hook that runs before the libraries are loaded.
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

// An exception in a destructor or a noexcept function cannot be caught. This handler still reports what it was.
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

// OpenMP threads spin for milliseconds at every barrier. When another program wants the same cores, they spin while the
// thread that they wait for is not running. Beside a second training run on 2 cores, this program was 16 times slower
// than with short spins, which cost nothing measurable on an idle machine. The library reads the setting when it is
// loaded, before main(), so the program has to execute itself again.
void shorten_spins(char** arguments) {
  if (getenv("OMP_WAIT_POLICY") != nullptr || getenv("GOMP_SPINCOUNT") != nullptr) return;
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return;
  setenv("GOMP_SPINCOUNT", "2000", 1);
  execv(program.c_str(), arguments);  // returns only on failure; the program then continues without the setting
}

// MKL ends the process with a message of its own when the working folder does not exist, and it checks this while
// libraries are loaded. Functions in .preinit_array run before that. They also run before the libraries of sanitizers
// are ready, so this one may use only system calls.
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
  // By default glibc returns the memory of every large tensor to the system and faults the pages in again for the next
  // tensor. Training allocates the same sizes at every step.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  // LibTorch then asks for huge pages for its tensors. A decoding step reads all weights and keys, and with pages of 4
  // KB every page of them misses the translation cache: 10 % of the step on the machine where this was measured.
  setenv("THP_MEM_ALLOC_ENABLE", "1", 0);
  ignore_fatal_writes();
  std::set_terminate(terminate);
}

void end_process(int code) {
#ifdef __SANITIZE_ADDRESS__
  std::exit(code);  // runs the leak check
#endif
  std::fflush(nullptr);
  _exit(code);
}

}  // namespace terse::launch
