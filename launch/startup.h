// Sets up the process before anything else happens, and ends it after everything else.
#pragma once

namespace terse::launch {

// Prepares the process; main() calls it first. `arguments` is argv.
// - OpenMP threads spin only briefly at a barrier before they sleep. For this the program executes itself again, once,
//   with GOMP_SPINCOUNT set. It does not if the user has set OMP_WAIT_POLICY or GOMP_SPINCOUNT.
// - The locale is C, so that numbers are read and printed the same for every user.
// - The allocator keeps freed memory instead of returning it to the system.
// - Tensors of 2 MB and more ask for huge pages, unless the user has set THP_MEM_ALLOC_ENABLE.
// - Closed standard descriptors are opened on /dev/null.
// - A broken pipe, and a file that may not grow, become errors of the write.
// - An exception that cannot be caught ends the process with a message and the matching exit code.
void prepare_process(char** arguments);

// Flushes all output and ends the process without running the destructors of libraries. LibTorch's destructors take a
// fifth of a second, and the other ranks no longer watch this rank during that time.
[[noreturn]] void end_process(int code);

}  // namespace terse::launch
