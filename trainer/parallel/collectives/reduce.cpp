// Reduces block by block, so that the running total stays in the L1 cache.
#include "trainer/parallel/collectives/reduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace terse::trainer {

namespace {

// The total of a block and the block of one piece fit into the L1 cache together.
constexpr int64_t kBlock = 2048;  // elements

template <typename Wide, typename Narrow>
__attribute__((optimize("O3"))) void add(Wide* total, const Narrow* piece, int64_t count) {
  for (int64_t i = 0; i < count; ++i) total[i] = static_cast<Wide>(total[i] + static_cast<Wide>(piece[i]));
}

// Keeps the larger (smaller) of both values. A NaN wins over any number and stays.
template <bool kMaximum, typename Wide, typename Narrow>
void choose(Wide* total, const Narrow* piece, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const Wide x = static_cast<Wide>(piece[i]);
    const bool better = kMaximum ? x > total[i] : x < total[i];
    if (better || x != x) total[i] = x;
  }
}

template <typename Narrow, typename Wide>
void reduce_as(Reduce reduce, const std::vector<const void*>& pieces, void* out, int64_t count) {
  Wide total[kBlock];
  for (int64_t at = 0; at < count; at += kBlock) {
    const int64_t n = std::min(kBlock, count - at);
    const Narrow* first = static_cast<const Narrow*>(pieces[0]) + at;
    for (int64_t i = 0; i < n; ++i) total[i] = static_cast<Wide>(first[i]);
    for (size_t r = 1; r < pieces.size(); ++r) {
      const Narrow* piece = static_cast<const Narrow*>(pieces[r]) + at;
      if (reduce == Reduce::kSum)
        add(total, piece, n);
      else if (reduce == Reduce::kMax)
        choose<true>(total, piece, n);
      else
        choose<false>(total, piece, n);
    }
    Narrow* result = static_cast<Narrow*>(out) + at;
    for (int64_t i = 0; i < n; ++i) result[i] = static_cast<Narrow>(total[i]);
  }
}

}  // namespace

void reduce_pieces(torch::ScalarType dtype, Reduce reduce, const std::vector<const void*>& pieces, void* out,
                   int64_t count) {
  switch (dtype) {
    case torch::kFloat32:
      return reduce_as<float, float>(reduce, pieces, out, count);
    case torch::kBFloat16:
      return reduce_as<c10::BFloat16, float>(reduce, pieces, out, count);
    case torch::kFloat64:
      return reduce_as<double, double>(reduce, pieces, out, count);
    case torch::kInt64:
      return reduce_as<int64_t, int64_t>(reduce, pieces, out, count);
    case torch::kInt32:
      return reduce_as<int32_t, int32_t>(reduce, pieces, out, count);
    case torch::kUInt8:
      return reduce_as<uint8_t, uint8_t>(reduce, pieces, out, count);
    default:
      throw std::invalid_argument(fmt::format(
          "cannot reduce tensors of {}; expected float32, bfloat16, float64, int64, int32 or uint8", toString(dtype)));
  }
}

}  // namespace terse::trainer
