// Copies parts of the factors of a product into scratch memory, in the order in which the register tiles read them.
// There bf16 numbers become what the processor multiplies (Wide in tile.h).
#pragma once

#include <cstring>

#include "trainer/kernels/cpu/parallel.h"
#include "trainer/kernels/cpu/tile.h"

namespace terse::trainer::kernels::TERSE_ISA {

// Stored: the elements of a packed weight. Cached: those of scratch memory. steps(): how many of them a row of `count`
// numbers takes; bf16 numbers go in pairs, so an odd count gets a zero.
template <class T>
struct Factor;
template <>
struct Factor<float> {
  using Stored = float;
  using Cached = float;
  static constexpr int64_t kSize = 1;  // numbers of a stored element
  static constexpr int64_t steps(int64_t count) { return count; }
};
template <>
struct Factor<Bf16> {
  using Stored = Pair;
  using Cached = Wide;
  static constexpr int64_t kSize = 2;
  static constexpr int64_t steps(int64_t count) { return (count + 1) / 2 * kWidePerPair; }
};
template <class T>
using Stored = typename Factor<T>::Stored;
template <class T>
using Cached = typename Factor<T>::Cached;

inline constexpr Bf16 kNoNumbers[kLanes] = {};

// Writes the first n lanes of a pair of steps; a step is `next` elements after the one before.
TERSE_INLINE void put(Wide* to, [[maybe_unused]] int64_t next, P16 pairs, int64_t n) {
#ifdef __AVX512BF16__
  store_first(to, pairs, n);
#else
  store_first(to, odd(pairs), n);
  store_first(to + next, even(pairs), n);
#endif
}

// Copies `depth` rows of a matrix, b_step apart, into rows of kTileCols elements, padded with zeros.
inline void pack_panel(const float* b, int64_t b_step, int64_t depth, int64_t cols, float* panel) {
  for (int64_t p = 0; p < depth; ++p, b += b_step, panel += kTileCols)
    for (int v = 0; v < kTileVectors; ++v)
      store(panel + v * kLanes, load_first(b + v * kLanes, max_of(0, min_of(kLanes, cols - v * kLanes))));
}
inline void pack_panel(const Bf16* b, int64_t b_step, int64_t depth, int64_t cols, Wide* panel) {
  for (int64_t p = 0; p < depth; p += 2, b += 2 * b_step, panel += kWidePerPair * kTileCols)
    for (int v = 0; v < kTileVectors; ++v) {
      const int64_t left = max_of(0, min_of(kLanes, cols - v * kLanes));
      const Bf16* next = p + 1 < depth ? b + b_step + v * kLanes : kNoNumbers;
      put(panel + v * kLanes, kTileCols, join(b + v * kLanes, next, left), kLanes);
    }
}

// The same of a packed weight, `pairs` pairs deep, whose vectors are b_vector apart.
inline void pack_panel(const Pair* b, int64_t b_vector, int64_t pairs, int64_t cols, Wide* panel) {
  for (int64_t p = 0; p < pairs; ++p, b += kLanes, panel += kWidePerPair * kTileCols)
    for (int v = 0; v < kTileVectors; ++v)
      put(panel + v * kLanes, kTileCols, v * kLanes < cols ? load(b + v * b_vector) : load_first(b, 0), kLanes);
}

// Where the rows of a factor are: step p of row r is a[r / kTileRows * tile + r % kTileRows * row + p * step].
template <class T>
struct CachedRows {
  const Cached<T>* a = nullptr;
  int64_t row = 0, step = 0, tile = 0;
};

// Describes rows of `count` numbers, a_row apart, and copies them to `to` if they must be changed for that.
inline CachedRows<float> pack_rows(const float* a, int64_t a_row, int64_t, int64_t, float*) {
  return {a, a_row, 1, kTileRows * a_row};
}
inline CachedRows<Bf16> pack_rows(const Bf16* a, int64_t a_row, int64_t rows, int64_t count, Wide* to) {
  const int64_t width = Factor<Bf16>::steps(count);
#ifdef __AVX512BF16__
  if (a_row % 2 == 0 && count % 2 == 0) return {reinterpret_cast<const Pair*>(a), a_row / 2, 1, kTileRows * a_row / 2};
  for (int64_t r = 0; r < rows; ++r) {
    to[r * width + width - 1] = {};
    std::memcpy(to + r * width, a + r * a_row, static_cast<size_t>(count) * sizeof(Bf16));
  }
#else
  const int64_t whole = count / kLanes * kLanes;
  for (int64_t r = 0; r < rows; ++r) {
    const Bf16* from = a + r * a_row;
    float* row = to + r * width;
    for (int64_t p = 0; p < whole; p += kLanes) store(row + p, odd_even(reinterpret_cast<const Pair*>(from + p)));
    if (whole == count) continue;
    Pair last[kLanes / 2] = {};
    std::memcpy(last, from + whole, static_cast<size_t>(count - whole) * sizeof(Bf16));
    store_some(row + whole, odd_even(last), width - whole);
  }
#endif
  return {to, width, 1, kTileRows * width};
}

// The place of sequence s among those of a factor whose summed dimension is all rows of a batch, in steps. A sequence
// begins with a pair of its own. The last place is the size of the whole.
template <class T>
int64_t place_of(const Sequences& rows, int64_t s) {
  const int64_t before = rows.starts[s] - rows.starts[0];
  return Factor<T>::kSize == 1 ? before : Factor<T>::steps(before + s);
}

// Copies `height` columns of a matrix [rows, n], from a on, as tiles [ceil(height / kTileRows)][steps][kTileRows], so
// that a step does not jump to another page of memory.
inline CachedRows<float> pack_columns(const float* a, int64_t n, const Sequences& rows, int64_t height, float* to) {
  const int64_t tokens = place_of<float>(rows, rows.count);
  const CachedRows<float> described{to, 1, kTileRows, tokens * kTileRows};
  for (int64_t row = 0; row < height; row += kTileRows)
    for (int64_t p = 0; p < tokens; ++p, to += kTileRows)
      store_first(to, load_first(a + p * n + row, min_of(kTileRows, height - row)), kTileRows);
  return described;
}
inline CachedRows<Bf16> pack_columns(const Bf16* a, int64_t n, const Sequences& rows, int64_t height, Wide* to) {
  const CachedRows<Bf16> described{to, 1, kTileRows, place_of<Bf16>(rows, rows.count) * kTileRows};
  for (int64_t row = 0; row < height; row += kTileRows, to += described.tile) {
    const int64_t left = min_of(kTileRows, height - row);
    for (int64_t s = 0; s < rows.count; ++s) {
      Wide* tile = to + place_of<Bf16>(rows, s) * kTileRows;
      for (int64_t p = rows.starts[s]; p < rows.starts[s + 1]; p += 2, tile += kWidePerPair * kTileRows) {
        const Bf16* numbers = a + (p - rows.starts[0]) * n + row;
        const Bf16* next = p + 1 < rows.starts[s + 1] ? numbers + n : kNoNumbers;
        put(tile, kTileRows, join(numbers, next, left), kTileRows);
      }
    }
  }
  return described;
}

}  // namespace terse::trainer::kernels::TERSE_ISA
