// What has to be done once per process: before anything else, and after everything.
#pragma once

namespace terse::launch {

// Threads that wait for each other only briefly before they sleep (this starts the program anew, once, with the setting
// in its environment, unless the user has chosen one: OMP_WAIT_POLICY or GOMP_SPINCOUNT), the C locale (numbers read
// and print the same for every user), an allocator that keeps what it has got from the system, /dev/null for closed
// standard descriptors, broken pipes and files that may not grow as errors of the write, and a message with the
// matching exit code for an exception that nobody can catch.
void prepare_process(char** arguments);

// Ends the process with what it has written, but without the destructors of libraries: LibTorch's take a fifth of a
// second, in which a rank is no longer missed by the others.
[[noreturn]] void end_process(int code);

}  // namespace terse::launch
