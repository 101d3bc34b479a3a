// Computes XXH3, a fast 64-bit hash that detects flipped bits. Unlike SHA-256, it gives no protection against an
// adversary.
#pragma once

#include <cstddef>
#include <cstdint>

namespace terse {

// Returns the hash of the bytes and the seed: equal bytes have another hash under another seed.
uint64_t xxh3(const void* bytes, size_t size, uint64_t seed);

}  // namespace terse
