// Scratch memory of the kernels, one buffer per thread, reused from call to call. Compiled once for all instruction
// sets.
#pragma once

#include <cstdint>

namespace terse::trainer::kernels {

// Returns at least `floats` floats of the calling thread, aligned to 64 bytes. They are valid until the thread's next
// call, and their contents are unspecified. Throws std::bad_alloc.
float* scratch(int64_t floats);

}  // namespace terse::trainer::kernels
