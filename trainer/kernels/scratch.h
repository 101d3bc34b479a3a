// Per-thread work memory of the kernels, kept from call to call. Compiled once for all instruction sets.
#pragma once

#include <cstdint>

namespace terse::trainer::kernels {

// At least `floats` floats, aligned to 64 bytes, of the calling thread: valid until its next call, contents
// unspecified. Throws std::bad_alloc.
float* scratch(int64_t floats);

}  // namespace terse::trainer::kernels
