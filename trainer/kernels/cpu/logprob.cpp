// The output head: log-probability, entropy and their gradients, row by row.
#include "trainer/kernels/cpu/functions.h"
#include "trainer/kernels/cpu/math.h"
#include "trainer/kernels/cpu/parallel.h"

namespace terse::trainer::kernels::TERSE_ISA {
namespace {

constexpr float kMinusInf = -__builtin_inff();
constexpr int64_t kRowCost = 20;  // time of one logit, in floating-point operations

TERSE_INLINE F16 load_scaled(const float* p, F16 scale, int64_t n) {
  return mul(load_some(p, n), scale);
}

// Limits the factor that is multiplied by exp(d), because 0 times -inf would be NaN. exp(d) is 0 below -104, so the
// limit changes no other product.
TERSE_INLINE F16 finite(F16 d) {
  return max(splat(-1000.0f), d);
}

struct RowSums {
  float max;      // of z = scale * logits
  float sum;      // of exp(z - max)
  float product;  // of exp(z - max) (z - max)
};

RowSums sum_row(const float* logits, float scale, int64_t vocab) {
  const F16 scales = splat(scale);
  F16 top = splat(kMinusInf);
  for (int64_t i = 0; i < vocab; i += kLanes) {
    const int64_t n = min_of(kLanes, vocab - i);
    top = max(top, keep_first(load_scaled(logits + i, scales, n), n, splat(kMinusInf)));
  }
  const float highest = max_lanes(top);
  F16 sum = zero(), product = zero();
  for (int64_t i = 0; i < vocab; i += kLanes) {
    const int64_t n = min_of(kLanes, vocab - i);
    const F16 d = sub(keep_first(load_scaled(logits + i, scales, n), n, splat(kMinusInf)), splat(highest));
    const F16 e = exp(d);
    sum = add(sum, e);
    product = fma(e, finite(d), product);
  }
  return {highest, sum_lanes(sum), sum_lanes(product)};
}

// The first token at which the running sum of probabilities exceeds `uniform`.
int64_t draw(const float* logits, float scale, float lse, float uniform, int64_t vocab) {
  float mass = 0;
  int64_t last = 0;
  for (int64_t i = 0; i < vocab; i += kLanes) {
    const int64_t n = min_of(kLanes, vocab - i);
    float probs[kLanes];
    store_some(probs, exp(sub(load_scaled(logits + i, splat(scale), n), splat(lse))), n);
    for (int64_t lane = 0; lane < n; ++lane) {
      if (probs[lane] <= 0) continue;
      mass += probs[lane];
      last = i + lane;
      if (uniform < mass) return last;
    }
  }
  return last;
}

struct GradRow {
  const float* logits;
  float* dlogits;
  float scale, lse, entropy, d_logprob, d_entropy;
};

void grad_row(const GradRow& row, int64_t target, int64_t vocab) {
  const F16 scales = splat(row.scale), lse = splat(row.lse), entropy = splat(row.entropy);
  const F16 d_entropy = splat(row.d_entropy), d_logprob = splat(row.d_logprob);
  const bool here = target >= 0 && target < vocab;
  const float target_logit = here ? row.logits[target] * row.scale : 0.0f;  // dlogits may replace it below
  for (int64_t i = 0; i < vocab; i += kLanes) {
    const int64_t n = min_of(kLanes, vocab - i);
    const F16 log_p = sub(load_scaled(row.logits + i, scales, n), lse);
    const F16 pull = fma(d_entropy, add(finite(log_p), entropy), d_logprob);
    const F16 grad = mul(mul(sub(zero(), exp(log_p)), pull), scales);
    store_some(row.dlogits + i, grad, n);
  }
  if (!here) return;
  // Computes the target's own entry again, with 1 - p instead of -p.
  const F16 log_p = splat(target_logit - row.lse);
  const F16 p = exp(log_p);
  const F16 by_entropy = mul(mul(d_entropy, p), add(finite(log_p), entropy));
  const F16 grad = mul(sub(mul(d_logprob, sub(splat(1.0f), p)), by_entropy), scales);
  store_first(row.dlogits + target, grad, 1);
}

}  // namespace

void logprob(const LogProb& args) {
  parallel_ranges(args.rows, kRowCost * args.vocab, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* logits = args.logits + row * args.vocab;
      const RowSums sums = sum_row(logits, args.scale, args.vocab);
      const float log_sum = log(sums.sum);
      if (args.lse != nullptr) args.lse[row] = sums.max + log_sum;
      if (args.logprob != nullptr) args.logprob[row] = logits[args.targets[row]] * args.scale - sums.max - log_sum;
      if (args.entropy != nullptr) args.entropy[row] = log_sum - sums.product / sums.sum;
    }
  });
}

void logprob_backward(const LogProbGrad& args) {
  parallel_ranges(args.rows, kRowCost * args.vocab, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const bool entropy = args.d_entropy != nullptr;
      grad_row({.logits = args.logits + row * args.vocab,
                .dlogits = args.dlogits + row * args.vocab,
                .scale = args.scale,
                .lse = args.lse[row],
                .entropy = entropy ? args.entropy[row] : 0.0f,
                .d_logprob = args.d_logprob[row],
                .d_entropy = entropy ? args.d_entropy[row] : 0.0f},
               args.targets[row] - args.first, args.vocab);
    }
  });
}

void sample_tokens(const SampleTokens& args) {
  parallel_ranges(args.rows, 2 * kRowCost * args.vocab, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* logits = args.logits + row * args.vocab;
      const RowSums sums = sum_row(logits, args.scale, args.vocab);
      const float log_sum = log(sums.sum);
      args.lse[row] = sums.max + log_sum;
      args.entropy[row] = log_sum - sums.product / sums.sum;
      args.tokens[row] = draw(logits, args.scale, args.lse[row], args.uniforms[row], args.vocab);
      args.logprob[row] = logits[args.tokens[row]] * args.scale - sums.max - log_sum;
    }
  });
}

}  // namespace terse::trainer::kernels::TERSE_ISA
