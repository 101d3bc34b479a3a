// The output head and its log-probabilities, a chunk of rows at a time: logits exist for one chunk only, and are
// computed again in backward.
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "trainer/kernels/kernels.h"
#include "trainer/model/ops.h"
#include "trainer/model/ops_aten.h"

namespace terse::trainer::ops {

namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

constexpr int64_t kChunkLogits = 1 << 20;  // logits held at a time

// The head as the kernels want it ([D, V]), made once per call; bf16 heads are multiplied by LibTorch.
struct Head {
  explicit Head(const Tensor& w) : weight(w) {
    if (weight.scalar_type() != torch::kFloat32) return;
    transposed = torch::empty({weight.size(1), weight.size(0)}, torch::kFloat32);
    kernels::cpu().transpose(weight.data_ptr<float>(), transposed.data_ptr<float>(), weight.size(0), weight.size(1));
  }
  Tensor logits(const Tensor& x) const {
    if (!transposed.defined()) return at::mm(x.to(weight.scalar_type()), weight.t()).to(torch::kFloat32);
    Tensor z = torch::empty({x.size(0), weight.size(0)}, torch::kFloat32);
    kernels::cpu().gemm(x.data_ptr<float>(), transposed.data_ptr<float>(), nullptr, z.data_ptr<float>(), x.size(0),
                        weight.size(0), weight.size(1), false);
    return z;
  }
  Tensor weight, transposed;
};

LogitTransform transform_of(AutogradContext* ctx) {
  LogitTransform t;
  t.temperature = ctx->saved_data["temperature"].toDouble();
  t.top_k = ctx->saved_data["top_k"].toInt();
  t.top_p = ctx->saved_data["top_p"].toDouble();
  t.min_p = ctx->saved_data["min_p"].toDouble();
  return t;
}

struct TokenLogProbsFunction : Function<TokenLogProbsFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, const Tensor& targets,
                               double temperature, int64_t top_k, double top_p, double min_p) {
    ctx->saved_data["temperature"] = temperature;
    ctx->saved_data["top_k"] = top_k;
    ctx->saved_data["top_p"] = top_p;
    ctx->saved_data["min_p"] = min_p;
    const LogitTransform transform = transform_of(ctx);
    const int64_t rows = x.size(0), vocab = weight.size(0), chunk = std::max<int64_t>(1, kChunkLogits / vocab);
    Tensor logprob = torch::empty({rows}, torch::kFloat32), entropy = torch::empty_like(logprob),
           lse = torch::empty_like(logprob);
    const Head head(weight);
    for (int64_t begin = 0; begin < rows; begin += chunk) {
      const int64_t n = std::min(chunk, rows - begin);
      const int64_t* target = targets.data_ptr<int64_t>() + begin;
      Tensor logits = head.logits(x.narrow(0, begin, n));
      const float scale = cut_rows(transform, logits.data_ptr<float>(), n, vocab, target);
      kernels::cpu().logprob({.logits = logits.data_ptr<float>(),
                              .targets = target,
                              .scale = scale,
                              .rows = n,
                              .vocab = vocab,
                              .logprob = logprob.data_ptr<float>() + begin,
                              .lse = lse.data_ptr<float>() + begin,
                              .entropy = entropy.data_ptr<float>() + begin});
    }
    ctx->save_for_backward({x, weight, targets, lse, entropy});
    return {logprob, entropy};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &targets = saved[2];
    const LogitTransform transform = transform_of(ctx);
    const int64_t rows = x.size(0), vocab = weight.size(0), width = weight.size(1);
    const int64_t chunk = std::max<int64_t>(1, kChunkLogits / vocab);
    const Tensor d_logprob = grads[0].defined() ? grads[0].contiguous() : torch::zeros({rows}, torch::kFloat32);
    const Tensor d_entropy = grads[1].defined() ? grads[1].contiguous() : Tensor();
    Tensor dx = torch::empty({rows, width}, torch::kFloat32);
    const Head head(weight);
    for (int64_t begin = 0; begin < rows; begin += chunk) {
      const int64_t n = std::min(chunk, rows - begin);
      const int64_t* target = targets.data_ptr<int64_t>() + begin;
      const Tensor x_chunk = x.narrow(0, begin, n);
      Tensor logits = head.logits(x_chunk);
      const float scale = cut_rows(transform, logits.data_ptr<float>(), n, vocab, target);
      kernels::cpu().logprob_backward({.logits = logits.data_ptr<float>(),
                                       .targets = target,
                                       .scale = scale,
                                       .rows = n,
                                       .vocab = vocab,
                                       .lse = saved[3].data_ptr<float>() + begin,
                                       .entropy = saved[4].data_ptr<float>() + begin,
                                       .d_logprob = d_logprob.data_ptr<float>() + begin,
                                       .d_entropy = d_entropy.defined() ? d_entropy.data_ptr<float>() + begin : nullptr,
                                       .dlogits = logits.data_ptr<float>()});
      if (head.transposed.defined()) {
        kernels::cpu().gemm(logits.data_ptr<float>(), weight.data_ptr<float>(), nullptr,
                            dx.data_ptr<float>() + begin * width, n, width, vocab, false);
        kernels::cpu().gemm_tn(logits.data_ptr<float>(), x_chunk.data_ptr<float>(), weight.grad().data_ptr<float>(), n,
                               vocab, width, true);
      } else {
        const Tensor rounded = logits.to(weight.scalar_type());
        dx.narrow(0, begin, n).copy_(at::mm(rounded, weight));
        weight.grad().add_(at::mm(rounded.t(), x_chunk.to(weight.scalar_type())));
      }
    }
    return {dx, Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

TokenLogProbs token_logprobs(const Tensor& x, const Tensor& head, const Tensor& targets,
                             const LogitTransform& transform) {
  if (!x.device().is_cpu()) return aten::token_logprobs(x, head, targets, transform);
  const variable_list result = TokenLogProbsFunction::apply(x, head, targets, transform.temperature, transform.top_k,
                                                            transform.top_p, transform.min_p);
  return {result[0], result[1]};
}

}  // namespace terse::trainer::ops
