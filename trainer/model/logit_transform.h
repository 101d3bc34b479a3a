// The transform of the logits before a token is sampled. It is stored with the sample. So sampler and learner apply the
// same transform, and a recorded log-probability is the policy's own.
#pragma once

#include <cstdint>
#include <limits>

namespace terse::trainer {

struct LogitTransform {
  double temperature = 1.0;  // 0 or more; logits are divided by it; 0: greedy
  int64_t top_k = 0;         // keep the k largest; 0: off
  double top_p = 1.0;        // keep the smallest set of largest probabilities that reaches p; 1: off
  double min_p = 0.0;        // keep probabilities of at least min_p times the largest; 0: off

  // True at temperature 0, and at temperatures so small that logits divided by them would leave the range of fp32. Then
  // the likeliest token is always taken (the lowest id among equal ones), with log-probability 0 and entropy 0.
  bool greedy() const { return temperature < 0x1p-100; }
  // The factor that the kernels multiply the logits by, after the cuts.
  float scale() const { return greedy() ? 1.0f : static_cast<float>(1.0 / temperature); }
  bool cuts() const { return greedy() || top_k > 0 || top_p < 1.0 || min_p > 0.0; }
  bool identity() const { return temperature == 1.0 && !cuts(); }
  bool operator==(const LogitTransform&) const = default;
};

// Tells which logits of a row the cuts of a transform leave: all from `lowest` on, or one token only.
struct LogitCut {
  float lowest = -std::numeric_limits<float>::infinity();
  int64_t only = -1;  // -1: more than one
};

// Returns what the cuts leave of one row of V. They take the temperature into account. All ties at a cut are left.
// Order: top-k, top-p, min-p. Leaves everything of a row whose largest logit is NaN or infinite.
LogitCut find_cut(const LogitTransform& transform, const float* logits, int64_t vocab);

// Sets the logits that a cut drops to -inf, in the `count` tokens of a row that begin with token `first`. Leaves the
// others unchanged. Never drops token `keep` (-1: none); the learner passes the token that was sampled.
void apply_cut(const LogitCut& cut, float* logits, int64_t first, int64_t count, int64_t keep);

// Cuts `rows` rows of `vocab` logits and returns transform.scale(). `keep` is [rows] or null. `cuts` receives what was
// left of each row; it may be null. Sampler and learner both call this function, so their results have the same bits.
float cut_rows(const LogitTransform& transform, float* logits, int64_t rows, int64_t vocab,
               const int64_t* keep = nullptr, LogitCut* cuts = nullptr);

}  // namespace terse::trainer
