// Implements the Feistel network with Philox as the round function, and the cycle walking.
#include "data/permutation.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <utility>

#include "base/philox.h"

namespace terse::data {

namespace {

constexpr uint64_t kRounds = 8;

}  // namespace

Permutation::Permutation(uint64_t seed, uint64_t epoch, int64_t n)
    : seed_(seed), epoch_(epoch), n_(static_cast<uint64_t>(n)) {
  if (n < 1)
    throw std::invalid_argument(fmt::format("a permutation of {} elements was requested, expected at least 1", n));
  // The network permutes 2^(2 half_bits) values. These are at least 16, so that the rounds can differ, and otherwise
  // fewer than 4 n, so that cycle walking is short.
  half_bits_ = std::max(2, (static_cast<int>(std::bit_width(n_ - 1)) + 1) / 2);
}

uint64_t Permutation::mix(uint64_t value) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_;
  uint64_t right = value & mask;
  for (uint64_t round = 1; round <= kRounds; ++round) {
    const uint64_t f = philox(seed_, RandomStream::kShuffle, epoch_, round << 32 | right)[0];
    left = std::exchange(right, (left ^ f) & mask);
  }
  return left << half_bits_ | right;
}

int64_t Permutation::operator()(int64_t i) const {
  if (i < 0 || static_cast<uint64_t>(i) >= n_) {
    throw std::out_of_range(fmt::format("element {} is out of range: the permutation has {}", i, n_));
  }
  uint64_t value = mix(static_cast<uint64_t>(i));
  while (value >= n_) value = mix(value);
  return static_cast<int64_t>(value);
}

}  // namespace terse::data
