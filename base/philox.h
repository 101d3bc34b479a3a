// Implements Philox4x32-10, the counter-based random generator of Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3" (SC 2011). A number is a pure function of (key, counter). So the generator has no state that must be saved
// or split between workers.
#pragma once

#include <array>
#include <cstdint>

namespace terse {

// The id of a random stream. It is part of the key, so two streams never share numbers. An id keeps its value for ever,
// because every number of its stream depends on it.
enum class RandomStream : uint32_t {
  kInit = 1,
  kShuffle = 2,
  kTrainProblem = 3,
  kEvalProblem = 4,
  kSample = 5,
  kEvalSample = 6,
  kForm = 8,
  kAdapterInit = 9,
  kAdapterDropout = 10
};

// Returns four independent 32-bit words for (seed, stream, a, b). `a` and `b` are coordinates that the caller chooses,
// e.g. problem and position.
inline std::array<uint32_t, 4> philox(uint64_t seed, RandomStream stream, uint64_t a, uint64_t b) {
  // Each half of the key is a half of the seed, XORed with the stream times an odd constant.
  uint32_t k0 = static_cast<uint32_t>(seed) ^ (static_cast<uint32_t>(stream) * 0x85EBCA6Bu);
  uint32_t k1 = static_cast<uint32_t>(seed >> 32) ^ (static_cast<uint32_t>(stream) * 0xC2B2AE35u);
  std::array<uint32_t, 4> c = {static_cast<uint32_t>(a), static_cast<uint32_t>(a >> 32), static_cast<uint32_t>(b),
                               static_cast<uint32_t>(b >> 32)};
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * c[0];
    const uint64_t p1 = 0xCD9E8D57ull * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

// Returns a uniform number in [0, 1) with 24 bits, which is exact in fp32.
inline float uniform01(uint32_t word) {
  return static_cast<float>(word >> 8) * 0x1p-24f;
}

// Returns a uniform integer in [0, n): the upper half of word * n. The bias is negligible when n is far below 2^32.
inline uint32_t uniform_below(uint32_t word, uint32_t n) {
  return static_cast<uint32_t>((static_cast<uint64_t>(word) * n) >> 32);
}

}  // namespace terse
