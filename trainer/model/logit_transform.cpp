// Computes one threshold for the logits of a row from all three cuts. Greedy sampling needs no threshold: it keeps one
// token, even among equal logits.
#include "trainer/model/logit_transform.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace terse::trainer {

namespace {

// Returns the smallest logit that survives all three cuts. `sorted` holds the logits in descending order.
float threshold(const LogitTransform& transform, const std::vector<float>& sorted) {
  size_t kept = sorted.size();
  if (transform.top_k > 0) kept = std::min(kept, static_cast<size_t>(transform.top_k));
  const double top = sorted[0], scale = 1.0 / transform.temperature;
  if (transform.top_p < 1.0) {
    double total = 0;
    for (size_t i = 0; i < kept; ++i) total += std::exp(scale * (sorted[i] - top));
    double mass = 0;
    size_t n = 0;
    while (n < kept && mass < transform.top_p * total) mass += std::exp(scale * (sorted[n++] - top));
    kept = std::max<size_t>(1, n);
  }
  float lowest = sorted[kept - 1];
  if (transform.min_p > 0)
    lowest = std::max(lowest, static_cast<float>(top + std::log(transform.min_p) * transform.temperature));
  return lowest;
}

}  // namespace

void cut(const LogitTransform& transform, float* logits, int64_t vocab, int64_t keep) {
  if (!transform.cuts()) return;
  if (std::any_of(logits, logits + vocab, [](float logit) { return std::isnan(logit); })) return;  // NaN has no order
  if (transform.greedy()) {
    const int64_t likeliest = std::max_element(logits, logits + vocab) - logits;
    for (int64_t i = 0; i < vocab; ++i) {
      if (i != likeliest && i != keep) logits[i] = -std::numeric_limits<float>::infinity();
    }
    return;
  }
  std::vector<float> sorted(logits, logits + vocab);
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const float lowest = threshold(transform, sorted);
  for (int64_t i = 0; i < vocab; ++i) {
    if (logits[i] < lowest && i != keep) logits[i] = -std::numeric_limits<float>::infinity();
  }
}

float cut_rows(const LogitTransform& transform, float* logits, int64_t rows, int64_t vocab, const int64_t* keep) {
  if (!transform.cuts()) return transform.scale();
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      cut(transform, logits + row * vocab, vocab, keep == nullptr ? -1 : keep[row]);
  });
  return transform.scale();
}

}  // namespace terse::trainer
