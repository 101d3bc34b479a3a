// XXH3, a fast hash of 64 bits that finds flipped bits. It withstands no adversary; SHA-256 does.
#pragma once

#include <cstddef>
#include <cstdint>

namespace terse {

// `seed` is part of what is hashed: equal bytes under another seed have another hash.
uint64_t xxh3(const void* bytes, size_t size, uint64_t seed);

}  // namespace terse
