// Inverse-CDF sampling with counter-based random numbers.
#include "rl/engine/sampler.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <cmath>

#include "base/errors.h"
#include "trainer/kernels/kernels.h"

namespace terse::rl {

namespace {

float uniform(const DrawKey& key) {
  const uint64_t coordinate = static_cast<uint64_t>(key.sample) << 40 | static_cast<uint64_t>(key.position);
  return uniform01(philox(key.seed, key.stream, static_cast<uint64_t>(key.problem), coordinate)[0]);
}

// Returns the first token whose cumulative probability exceeds u. If rounding leaves the total at or below u, it is the
// last token with a positive probability.
int64_t invert(const float* probs, int64_t vocab, float u) {
  float mass = 0;
  int64_t last = 0;
  for (int64_t i = 0; i < vocab; ++i) {
    if (probs[i] <= 0) continue;
    mass += probs[i];
    last = i;
    if (u < mass) break;
  }
  return last;
}

}  // namespace

std::vector<Draw> sample_rows(float* logits, int64_t rows, int64_t vocab, const trainer::LogitTransform& transform,
                              const std::vector<DrawKey>& keys) {
  namespace kernels = trainer::kernels;
  const size_t n = static_cast<size_t>(rows);
  const float scale = trainer::cut_rows(transform, logits, rows, vocab);
  std::vector<float> lse(n), entropy(n), logprob(n), probs(n * static_cast<size_t>(vocab));
  std::vector<int64_t> tokens(n);
  kernels::cpu().logprob(
      {.logits = logits, .scale = scale, .rows = rows, .vocab = vocab, .lse = lse.data(), .entropy = entropy.data()});
  kernels::cpu().softmax(logits, scale, lse.data(), probs.data(), rows, vocab);
  for (size_t r = 0; r < n; ++r) {
    if (!std::isfinite(lse[r]))
      throw DivergedError(
          fmt::format("training diverged: the model's logits for problem {} are not finite. An earlier checkpoint may "
                      "still be good; train with a lower learning rate in a new --run-dir.",
                      keys[r].problem));
  }
  at::parallel_for(0, rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      tokens[static_cast<size_t>(r)] = invert(probs.data() + r * vocab, vocab, uniform(keys[static_cast<size_t>(r)]));
  });
  kernels::cpu().logprob({.logits = logits,
                          .targets = tokens.data(),
                          .scale = scale,
                          .rows = rows,
                          .vocab = vocab,
                          .logprob = logprob.data()});
  std::vector<Draw> draws(n);
  for (size_t r = 0; r < n; ++r) draws[r] = {tokens[r], logprob[r], entropy[r]};
  return draws;
}

}  // namespace terse::rl
