// Compiles libxxhash into this file alone.
#define XXH_INLINE_ALL
#include "base/xxh3.h"

#include <xxhash.h>

namespace terse {

uint64_t xxh3(const void* bytes, size_t size, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, size, seed);
}

}  // namespace terse
