// Inverse-CDF sampling with counter-based random numbers.
#include "rl/engine/sampler.h"

#include <fmt/format.h>

#include <cmath>

#include "base/errors.h"
#include "trainer/kernels/kernels.h"
#include "trainer/model/profile_scope.h"

namespace terse::rl {

namespace {

float uniform(const DrawKey& key) {
  const uint64_t coordinate = static_cast<uint64_t>(key.sample) << 40 | static_cast<uint64_t>(key.position);
  return uniform01(philox(key.seed, key.stream, static_cast<uint64_t>(key.problem), coordinate)[0]);
}

}  // namespace

std::vector<Draw> sample_rows(float* logits, int64_t rows, int64_t vocab, const trainer::LogitTransform& transform,
                              const std::vector<DrawKey>& keys) {
  const trainer::ProfileScope scope("sampling");
  namespace kernels = trainer::kernels;
  const size_t n = static_cast<size_t>(rows);
  const float scale = trainer::cut_rows(transform, logits, rows, vocab);
  std::vector<float> uniforms(n), lse(n), entropy(n), logprob(n);
  std::vector<int64_t> tokens(n);
  for (size_t r = 0; r < n; ++r) uniforms[r] = uniform(keys[r]);
  kernels::cpu().sample_tokens({.logits = logits,
                                .uniforms = uniforms.data(),
                                .scale = scale,
                                .rows = rows,
                                .vocab = vocab,
                                .tokens = tokens.data(),
                                .logprob = logprob.data(),
                                .lse = lse.data(),
                                .entropy = entropy.data()});
  for (size_t r = 0; r < n; ++r) {
    if (!std::isfinite(lse[r]))
      throw DivergedError(
          fmt::format("training diverged: the model's logits for problem {} are not finite. An earlier checkpoint may "
                      "still be good; train with a lower learning rate in a new --run-dir.",
                      keys[r].problem));
  }
  std::vector<Draw> draws(n);
  for (size_t r = 0; r < n; ++r) draws[r] = {tokens[r], logprob[r], entropy[r]};
  return draws;
}

}  // namespace terse::rl
