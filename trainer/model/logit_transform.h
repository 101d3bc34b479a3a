// The transform of the logits before a token is sampled. It is stored with the sample. So sampler and learner apply the
// same transform, and a recorded log-probability is the policy's own.
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
  // The factor that the kernels multiply the logits by, after the cuts.
  float scale() const { return greedy() ? 1.0f : static_cast<float>(1.0 / temperature); }
  bool cuts() const { return greedy() || top_k > 0 || top_p < 1.0 || min_p > 0.0; }
  bool identity() const { return temperature == 1.0 && !cuts(); }
  bool operator==(const LogitTransform&) const = default;
};

// Sets the logits that the transform drops to -inf, in one row of V. Leaves the others unchanged: the cuts take the
// temperature into account, but do not divide by it. Never drops token `keep` (-1: none); the learner passes the token
// that was sampled. Keeps all ties at a cut. Order: top-k, top-p, min-p. Leaves a row whose largest logit is NaN or
// infinite unchanged.
void cut(const LogitTransform& transform, float* logits, int64_t vocab, int64_t keep = -1);

// Does the same for `rows` rows and returns transform.scale(). `keep` is [rows] or null. Sampler and learner both call
// this function, so their results have the same bits.
float cut_rows(const LogitTransform& transform, float* logits, int64_t rows, int64_t vocab,
               const int64_t* keep = nullptr);

}  // namespace terse::trainer
