// What has to be set once per process, before anything else.
#pragma once

namespace terse::launch {

// The C locale (numbers read and print the same for every user), an allocator that keeps what it has got from the
// system, broken pipes as errors of the write, and exit code 70 with a message for an exception that nobody can catch.
void prepare_process();

}  // namespace terse::launch
