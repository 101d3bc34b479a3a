// Computes one threshold for the logits of a row from all three cuts, from those logits only that can lie above it.
// Greedy sampling needs no threshold: it keeps one token, even among equal logits.
#include "trainer/model/logit_transform.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "trainer/kernels/kernels.h"

namespace terse::trainer {

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr double kFirstReach = 8;   // how far below the largest logit the search for a threshold begins
constexpr double kFarthest = 1e32;  // no finite logits of a model lie so far apart

// One row at its temperature.
struct Row {
  const float* logits;
  int64_t vocab;
  double scale;
  float top;  // the largest logit

  // Returns the logits that lie at most `reach` below the largest one.
  std::vector<float> within(double reach) const {
    const double lowest = top - reach;
    std::vector<float> found;
    for (int64_t i = 0; i < vocab; ++i)
      if (logits[i] >= lowest) found.push_back(logits[i]);
    return found;
  }
  double mass(float logit) const { return std::exp(scale * (static_cast<double>(logit) - top)); }
  // The sum of mass() over the row.
  double total() const {
    float lse = 0;
    kernels::cpu().logprob(
        {.logits = logits, .scale = static_cast<float>(scale), .rows = 1, .vocab = vocab, .lse = &lse});
    return std::exp(static_cast<double>(lse) - scale * top);
  }
};

// Returns the k largest logits in descending order, or all when there are fewer.
std::vector<float> largest(const Row& row, int64_t k) {
  std::vector<float> found;
  for (double reach = kFirstReach; std::ssize(found) < std::min(k, row.vocab) && reach < kFarthest; reach *= 2)
    found = row.within(reach);
  std::sort(found.begin(), found.end(), std::greater<>());
  if (std::ssize(found) > k) found.resize(static_cast<size_t>(k));
  return found;
}

// Returns the logits of a smallest set whose mass is at least `wanted`, in descending order. Returns at least one, and
// all when rounding leaves even their mass below.
std::vector<float> nucleus(const Row& row, double wanted) {
  std::vector<float> found;
  double mass = 0;
  for (double reach = kFirstReach / row.scale; mass < wanted && std::ssize(found) < row.vocab && reach < kFarthest;
       reach *= 2) {
    found = row.within(reach);
    mass = 0;
    for (const float logit : found) mass += row.mass(logit);
  }
  std::sort(found.begin(), found.end(), std::greater<>());
  size_t kept = 0;
  for (mass = 0; kept < found.size() && mass < wanted; ++kept) mass += row.mass(found[kept]);
  found.resize(std::max<size_t>(1, kept));
  return found;
}

// Returns the smallest logit that survives all three cuts.
float threshold(const LogitTransform& transform, const Row& row) {
  float lowest = -kInf;
  if (transform.top_k > 0) {
    const std::vector<float> kept = largest(row, transform.top_k);
    lowest = kept.back();
    if (transform.top_p < 1.0) {
      const Row cut{kept.data(), std::ssize(kept), row.scale, row.top};
      double total = 0;
      for (const float logit : kept) total += row.mass(logit);
      lowest = nucleus(cut, transform.top_p * total).back();
    }
  } else if (transform.top_p < 1.0) {
    lowest = nucleus(row, transform.top_p * row.total()).back();
  }
  if (transform.min_p > 0) {
    lowest = std::max(lowest, static_cast<float>(row.top + std::log(transform.min_p) * transform.temperature));
  }
  return lowest;
}

// Returns the largest logit, or NaN when there is one.
float top_of(const float* logits, int64_t vocab) {
  float top = -kInf;
  bool ordered = true;
  for (int64_t i = 0; i < vocab; ++i) {
    ordered = ordered && logits[i] == logits[i];
    top = std::max(top, logits[i]);
  }
  return ordered ? top : std::numeric_limits<float>::quiet_NaN();
}

}  // namespace

LogitCut find_cut(const LogitTransform& transform, const float* logits, int64_t vocab) {
  if (!transform.cuts()) return {};
  const float top = top_of(logits, vocab);
  if (!std::isfinite(top)) return {};  // the caller finds that the row has no probabilities
  if (transform.greedy()) return {.only = std::find(logits, logits + vocab, top) - logits};
  return {.lowest = threshold(transform, {logits, vocab, 1.0 / transform.temperature, top})};
}

void apply_cut(const LogitCut& cut, float* logits, int64_t first, int64_t count, int64_t keep) {
  for (int64_t i = 0; i < count; ++i) {
    const bool dropped = cut.only >= 0 ? first + i != cut.only : logits[i] < cut.lowest;
    if (dropped && first + i != keep) logits[i] = -kInf;
  }
}

float cut_rows(const LogitTransform& transform, float* logits, int64_t rows, int64_t vocab, const int64_t* keep,
               LogitCut* cuts) {
  if (!transform.cuts()) return transform.scale();
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const LogitCut cut = find_cut(transform, logits + row * vocab, vocab);
      apply_cut(cut, logits + row * vocab, 0, vocab, keep == nullptr ? -1 : keep[row]);
      if (cuts != nullptr) cuts[row] = cut;
    }
  });
  return transform.scale();
}

}  // namespace terse::trainer
