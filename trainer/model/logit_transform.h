// What is done to logits before a token is sampled. It travels with the sample: sampler and learner apply the same
// transform, so that a recorded log-probability is the policy's own.
#pragma once

#include <cstdint>

namespace terse::trainer {

struct LogitTransform {
  double temperature = 1.0;  // 0 or more; logits are divided by it; 0: greedy
  int64_t top_k = 0;         // keep the k largest; 0: off
  double top_p = 1.0;        // keep the smallest set of largest probabilities that reaches p; 1: off
  double min_p = 0.0;        // keep probabilities of at least min_p times the largest; 0: off

  // True at temperature 0, and at temperatures so small that logits divided by them would leave the range of fp32. Then
  // the likeliest token is always taken (the lowest id among equal ones), with log-probability 0 and entropy 0.
  bool greedy() const { return temperature < 0x1p-100; }
  // The factor that remains to be multiplied in after the cuts: the kernels take it as their scale.
  float scale() const { return greedy() ? 1.0f : static_cast<float>(1.0 / temperature); }
  bool cuts() const { return greedy() || top_k > 0 || top_p < 1.0 || min_p > 0.0; }
  bool identity() const { return temperature == 1.0 && !cuts(); }
};

// Makes the logits that the transform drops -inf, in one row of V; leaves the others as they are (not divided by the
// temperature, which the cuts take into account). `keep` (or -1) is never dropped: the learner passes the token that
// was sampled. Ties at a cut are all kept. Order: top-k, top-p, min-p. A row with a NaN is left as it is.
void cut(const LogitTransform& transform, float* logits, int64_t vocab, int64_t keep = -1);

// The same for `rows` rows; returns transform.scale(). `keep` [rows] or null. Sampler and learner both call this, so
// they agree to the bit.
float cut_rows(const LogitTransform& transform, float* logits, int64_t rows, int64_t vocab,
               const int64_t* keep = nullptr);

}  // namespace terse::trainer
