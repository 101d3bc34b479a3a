// Computes a pseudo-random permutation of 0..n-1 without storage. It restricts a Feistel network over Philox to the
// range by cycle walking (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). Elements can be
// computed in any order.
#pragma once

#include <cstdint>

namespace terse::data {

class Permutation {
 public:
  // The permutation is a function of (seed, epoch, n) alone. Throws std::invalid_argument unless n >= 1.
  Permutation(uint64_t seed, uint64_t epoch, int64_t n);
  // Returns the element at index i of the shuffled order. Throws std::out_of_range unless 0 <= i < n.
  int64_t operator()(int64_t i) const;

 private:
  uint64_t mix(uint64_t value) const;

  uint64_t seed_;
  uint64_t epoch_;
  uint64_t n_;
  int half_bits_;
};

}  // namespace terse::data
