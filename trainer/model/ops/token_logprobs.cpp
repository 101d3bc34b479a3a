// Computes the output head and its log-probabilities without ever holding all logits: the forward pass takes a few rows
// at a time, and the backward pass a part of the vocabulary at a time, for which it computes the logits again. So it
// reads the head once, and the gradient of each of its rows is complete at once.
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "trainer/model/ops/ops.h"
#include "trainer/model/ops/ops_aten.h"
#include "trainer/model/ops/ops_cpu.h"

namespace terse::trainer::ops {

namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Logits held at a time. The head is read once per chunk of the forward pass, so these are larger.
constexpr int64_t kForwardLogits = 1 << 24, kBackwardLogits = 1 << 22;
constexpr int64_t kLeastTokens = 1024;  // of the vocabulary, in a part of the backward pass

int64_t rows_of_chunk(int64_t vocab) {
  return std::max<int64_t>(1, kForwardLogits / vocab);
}

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

// Holds what the backward pass of the head reads, and the gradient of its input.
struct HeadBackward {
  Tensor x, weight, targets, cuts, lse, entropy, d_logprob, d_entropy, dx;
  LogitTransform transform;

  // Replaces the logits of `rows` rows, from row `begin` on, by their gradients, for the `count` tokens from `first`
  // on.
  void differentiate(const Tensor& logits, int64_t begin, int64_t rows, int64_t first, int64_t count) const {
    const int64_t* target = targets.data_ptr<int64_t>() + begin;
    if (transform.cuts()) {
      const auto* cut = reinterpret_cast<const LogitCut*>(cuts.data_ptr<uint8_t>()) + begin;
      at::parallel_for(0, rows, 1, [&](int64_t from, int64_t to) {
        for (int64_t row = from; row < to; ++row)
          apply_cut(cut[row], data(logits) + row * count, first, count, target[row]);
      });
    }
    kernels::cpu().logprob_backward({.logits = data(logits),
                                     .targets = target,
                                     .scale = transform.scale(),
                                     .rows = rows,
                                     .vocab = count,
                                     .first = first,
                                     .lse = data(lse) + begin,
                                     .entropy = data(entropy) + begin,
                                     .d_logprob = data(d_logprob) + begin,
                                     .d_entropy = d_entropy.defined() ? data(d_entropy) + begin : nullptr,
                                     .dlogits = data(logits)});
  }

  // In fp32, all rows at a time. Every output is one chain or one tree (kernels.h), which parts do not change.
  void by_vocabulary(const kernels::Sequences& sequences) const {
    const kernels::Table& k = kernels::cpu();
    const int64_t rows = x.size(0), vocab = weight.size(0), width = weight.size(1);
    if (rows == 0) return;
    const int64_t part = std::min(vocab, std::max(kLeastTokens, kBackwardLogits / rows / 16 * 16));
    const Tensor panels = torch::empty({kernels::packed_floats(part, width)}, torch::kFloat32);
    const Tensor logits = torch::empty({rows * part}, torch::kFloat32);
    for (int64_t first = 0; first < vocab; first += part) {
      const int64_t count = std::min(part, vocab - first);
      const float* w = data(weight) + first * width;
      k.pack_weight(w, data(panels), count, width);
      k.gemm_packed(data(x), data(panels), nullptr, data(logits), rows, count, width);
      differentiate(logits, 0, rows, first, count);
      k.gemm(data(logits), w, nullptr, data(dx), rows, width, count, /*accumulate=*/first > 0);
      if (weight.requires_grad())
        k.weight_grad(data(logits), data(x), data(weight.grad()) + first * width, sequences, count, width);
    }
  }

  // With a bf16 head, which LibTorch multiplies, some rows at a time.
  void by_rows() const {
    const int64_t rows = x.size(0), vocab = weight.size(0), chunk = rows_of_chunk(vocab);
    for (int64_t begin = 0; begin < rows; begin += chunk) {
      const int64_t n = std::min(chunk, rows - begin);
      const Tensor in = x.narrow(0, begin, n).to(weight.scalar_type());
      const Tensor logits = at::mm(in, weight.t()).to(torch::kFloat32);
      differentiate(logits, begin, n, 0, vocab);
      const Tensor rounded = logits.to(weight.scalar_type());
      dx.narrow(0, begin, n).copy_(at::mm(rounded, weight));
      if (weight.requires_grad()) weight.grad().add_(at::mm(rounded.t(), in));
    }
  }
};

// The head as the forward pass reads it: fp32 in the kernels' panels. LibTorch multiplies a bf16 head.
struct Head {
  explicit Head(const Tensor& w) : weight(w) {
    if (weight.scalar_type() != torch::kFloat32) return;
    panels = torch::empty({kernels::packed_floats(weight.size(0), weight.size(1))}, torch::kFloat32);
    kernels::cpu().pack_weight(data(weight), data(panels), weight.size(0), weight.size(1));
  }
  Tensor logits(const Tensor& x) const {
    if (!panels.defined()) return at::mm(x.to(weight.scalar_type()), weight.t()).to(torch::kFloat32);
    Tensor z = torch::empty({x.size(0), weight.size(0)}, torch::kFloat32);
    kernels::cpu().gemm_packed(data(x), data(panels), nullptr, data(z), x.size(0), weight.size(0), weight.size(1));
    return z;
  }
  Tensor weight, panels;
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
    const int64_t rows = x.size(0), vocab = weight.size(0), chunk = rows_of_chunk(vocab);
    const Tensor logprob = torch::empty({rows}, torch::kFloat32), entropy = torch::empty_like(logprob),
                 lse = torch::empty_like(logprob);
    const Tensor cuts =
        torch::empty({transform.cuts() ? rows * static_cast<int64_t>(sizeof(LogitCut)) : 0}, torch::kUInt8);
    const Head head(weight);
    for (int64_t begin = 0; begin < rows; begin += chunk) {
      const int64_t n = std::min(chunk, rows - begin);
      const int64_t* target = targets.data_ptr<int64_t>() + begin;
      const Tensor logits = head.logits(x.narrow(0, begin, n));
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
    ctx->save_for_backward({x, weight, targets, cuts, lse, entropy, sequences.value_or(Tensor())});
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
        .dx = torch::empty_like(x),
        .transform = transform_of(ctx)};
    if (weight.scalar_type() != torch::kFloat32)
      head.by_rows();
    else
      head.by_vocabulary(weight.requires_grad() ? sequences_of(saved[6], rows) : kernels::Sequences());
    return {head.dx, Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

TokenLogProbs token_logprobs(const Tensor& x, const Tensor& head, const Tensor& targets,
                             const LogitTransform& transform, const Tensor& sequences) {
  if (!x.device().is_cpu()) return aten::token_logprobs(x, head, targets, transform);
  const variable_list result = TokenLogProbsFunction::apply(x, head, targets, transform.temperature, transform.top_k,
                                                            transform.top_p, transform.min_p, if_defined(sequences));
  return {result[0], result[1]};
}

}  // namespace terse::trainer::ops
