// What has to be set once per process, before anything else.
#pragma once

namespace terse::launch {

// Threads that wait for each other only briefly before they sleep (this starts the program anew, once, with the setting
// in its environment, unless the user has chosen one: OMP_WAIT_POLICY or GOMP_SPINCOUNT), the C locale (numbers read
// and print the same for every user), an allocator that keeps what it has got from the system, broken pipes as errors
// of the write, and exit code 70 with a message for an exception that nobody can catch.
void prepare_process(char** arguments);

}  // namespace terse::launch
