// Computes the output head and its log-probabilities without ever holding all logits: the forward pass takes a few rows
// at a time, and the backward pass a part of the vocabulary at a time, for which it computes the logits again. So it
// reads the head once, and the gradient of each of its rows is complete at once.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "trainer/model/ops/matmul.h"
#include "trainer/model/ops/ops.h"
#include "trainer/model/ops/ops_aten.h"
#include "trainer/model/ops/ops_cpu.h"
#include "trainer/model/profile_scope.h"

namespace terse::trainer::ops {

namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Logits held at a time. The head is read once per chunk of the forward pass, so these are larger.
constexpr int64_t kForwardLogits = 1 << 24, kBackwardLogits = 1 << 22;
constexpr int64_t kLeastTokens = 1024;  // of the vocabulary, in a part of the backward pass

float* data(const Tensor& t) {
  return t.data_ptr<float>();
}

LogitTransform transform_of(AutogradContext* ctx) {
  LogitTransform t;
  t.temperature = ctx->saved_data["temperature"].toDouble();
  t.top_k = ctx->saved_data["top_k"].toInt();
  t.top_p = ctx->saved_data["top_p"].toDouble();
  t.min_p = ctx->saved_data["min_p"].toDouble();
  return t;
}

// Holds what the backward pass of the head reads, and the gradient of its input. x is in the dtype of the weight.
struct HeadBackward {
  Tensor x, weight, targets, cuts, lse, entropy, d_logprob, d_entropy, dx;
  LogitTransform transform;

  // Replaces the logits of the `count` tokens from `first` on by their gradients.
  void differentiate(const Tensor& logits, int64_t first, int64_t count) const {
    const int64_t* target = targets.data_ptr<int64_t>();
    if (transform.cuts()) {
      const auto* cut = reinterpret_cast<const LogitCut*>(cuts.data_ptr<uint8_t>());
      at::parallel_for(0, logits.size(0), 1, [&](int64_t from, int64_t to) {
        for (int64_t row = from; row < to; ++row)
          apply_cut(cut[row], data(logits) + row * count, first, count, target[row]);
      });
    }
    kernels::cpu().logprob_backward({.logits = data(logits),
                                     .targets = target,
                                     .scale = transform.scale(),
                                     .rows = logits.size(0),
                                     .vocab = count,
                                     .first = first,
                                     .lse = data(lse),
                                     .entropy = data(entropy),
                                     .d_logprob = data(d_logprob),
                                     .d_entropy = d_entropy.defined() ? data(d_entropy) : nullptr,
                                     .dlogits = data(logits)});
  }

  // Every output is one chain or one tree (kernels.h), which taking the vocabulary apart does not change.
  void run(const kernels::Sequences& sequences) const {
    const int64_t rows = x.size(0), vocab = weight.size(0);
    if (rows == 0) return;
    const int64_t part = std::min(vocab, std::max(kLeastTokens, kBackwardLogits / rows / 16 * 16));
    for (int64_t first = 0; first < vocab; first += part) {
      const int64_t count = std::min(part, vocab - first);
      const Tensor w = weight.narrow(0, first, count), logits = multiply_packed(x, pack(w), {});
      differentiate(logits, first, count);
      const Tensor dy = as_factor(logits, weight.scalar_type());
      multiply_rows(dy, w, dx, /*accumulate=*/first > 0);
      if (weight.requires_grad()) add_weight_grad(dy, x, weight.grad().narrow(0, first, count), sequences);
    }
  }
};

struct TokenLogProbsFunction : Function<TokenLogProbsFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, const Tensor& targets,
                               double temperature, int64_t top_k, double top_p, double min_p,
                               const std::optional<Tensor>& sequences) {
    ctx->saved_data["temperature"] = temperature;
    ctx->saved_data["top_k"] = top_k;
    ctx->saved_data["top_p"] = top_p;
    ctx->saved_data["min_p"] = min_p;
    const LogitTransform transform = transform_of(ctx);
    const int64_t rows = x.size(0), vocab = weight.size(0), chunk = std::max<int64_t>(1, kForwardLogits / vocab);
    const Tensor logprob = torch::empty({rows}, torch::kFloat32), entropy = torch::empty_like(logprob),
                 lse = torch::empty_like(logprob);
    const Tensor cuts =
        torch::empty({transform.cuts() ? rows * static_cast<int64_t>(sizeof(LogitCut)) : 0}, torch::kUInt8);
    const Tensor factor = as_factor(x, weight.scalar_type()), panels = pack(weight);
    for (int64_t begin = 0; begin < rows; begin += chunk) {
      const int64_t n = std::min(chunk, rows - begin);
      const int64_t* target = targets.data_ptr<int64_t>() + begin;
      const Tensor logits = multiply_packed(factor.narrow(0, begin, n), panels, {});
      auto* cut = transform.cuts() ? reinterpret_cast<LogitCut*>(cuts.data_ptr<uint8_t>()) + begin : nullptr;
      const float scale = cut_rows(transform, data(logits), n, vocab, target, cut);
      kernels::cpu().logprob({.logits = data(logits),
                              .targets = target,
                              .scale = scale,
                              .rows = n,
                              .vocab = vocab,
                              .logprob = data(logprob) + begin,
                              .lse = data(lse) + begin,
                              .entropy = data(entropy) + begin});
    }
    ctx->save_for_backward({factor, weight, targets, cuts, lse, entropy, sequences.value_or(Tensor())});
    return {logprob, entropy};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const int64_t rows = x.size(0);
    const HeadBackward head{
        .x = x,
        .weight = weight,
        .targets = saved[2],
        .cuts = saved[3],
        .lse = saved[4],
        .entropy = saved[5],
        .d_logprob = grads[0].defined() ? grads[0].contiguous() : torch::zeros({rows}, torch::kFloat32),
        .d_entropy = grads[1].defined() ? grads[1].contiguous() : Tensor(),
        .dx = torch::empty(x.sizes(), torch::kFloat32),
        .transform = transform_of(ctx)};
    head.run(weight.requires_grad() ? sequences_of(saved[6], rows) : kernels::Sequences());
    return {head.dx, Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

TokenLogProbs token_logprobs(const Tensor& x, const Tensor& head, const Tensor& targets,
                             const LogitTransform& transform, const Tensor& sequences) {
  const ProfileScope scope("head and log-probs");
  if (!x.device().is_cpu()) return aten::token_logprobs(x, head, targets, transform);
  const variable_list result = TokenLogProbsFunction::apply(x, head, targets, transform.temperature, transform.top_k,
                                                            transform.top_p, transform.min_p, if_defined(sequences));
  return {result[0], result[1]};
}

}  // namespace terse::trainer::ops
