// Computes the output head and its log-probabilities one chunk of rows at a time. Only one chunk of logits is in
// memory, and the backward pass computes the logits again.
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

constexpr int64_t kChunkLogits = 1 << 20;  // logits held at a time

// The head, transposed for the kernels ([D, V]) once per call. LibTorch multiplies bf16 heads.
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

// Computes the gradients of the head and of its input, one chunk of rows at a time.
struct HeadBackward {
  Tensor x, targets, lse, entropy, d_logprob, d_entropy, dx;
  LogitTransform transform;
  Head head;

  // Returns the gradient of the logits of n rows, from row `begin` on.
  Tensor chunk(int64_t begin, int64_t n) const {
    const int64_t* target = targets.data_ptr<int64_t>() + begin;
    Tensor logits = head.logits(x.narrow(0, begin, n));
    const float scale = cut_rows(transform, logits.data_ptr<float>(), n, logits.size(1), target);
    kernels::cpu().logprob_backward({.logits = logits.data_ptr<float>(),
                                     .targets = target,
                                     .scale = scale,
                                     .rows = n,
                                     .vocab = logits.size(1),
                                     .lse = lse.data_ptr<float>() + begin,
                                     .entropy = entropy.data_ptr<float>() + begin,
                                     .d_logprob = d_logprob.data_ptr<float>() + begin,
                                     .d_entropy = d_entropy.defined() ? d_entropy.data_ptr<float>() + begin : nullptr,
                                     .dlogits = logits.data_ptr<float>()});
    return logits;
  }

  // Does the same in fp32 and also writes dx of these rows. Passes the gradient of the logits, the input and the sizes
  // of the weight to `add`.
  template <class Add>
  void rows(int64_t begin, int64_t n, const Add& add) {
    const Tensor logits = chunk(begin, n);
    const int64_t vocab = head.weight.size(0), width = head.weight.size(1);
    kernels::cpu().gemm(logits.data_ptr<float>(), head.weight.data_ptr<float>(), nullptr,
                        dx.data_ptr<float>() + begin * width, n, width, vocab, false);
    add(logits.data_ptr<float>(), x.data_ptr<float>() + begin * width, vocab, width);
  }

  // Adds the tree over the sequences to `grad`. A tree of more than `most` rows is split into its halves, and a single
  // sequence of more rows is a chain over its chunks. In both cases `grad` must be zero before.
  void add_tree(const kernels::Sequences& sequences, int64_t most, const Tensor& grad) {
    const int64_t first = sequences.starts[0], n = sequences.rows() - first;
    if (n == 0) return;
    if (n <= most) {
      std::vector<int32_t> starts(sequences.starts, sequences.starts + sequences.count + 1);
      for (int32_t& start : starts) start -= static_cast<int32_t>(first);
      rows(first, n, [&](const float* logits, const float* in, int64_t vocab, int64_t width) {
        kernels::cpu().weight_grad(logits, in, grad.data_ptr<float>(), {starts.data(), sequences.count}, vocab, width);
      });
    } else if (sequences.count == 1) {
      for (int64_t begin = first; begin < first + n; begin += most) {
        const int64_t part = std::min(most, first + n - begin);
        rows(begin, part, [&](const float* logits, const float* in, int64_t vocab, int64_t width) {
          kernels::cpu().gemm_tn(logits, in, grad.data_ptr<float>(), part, vocab, width, true);
        });
      }
    } else {
      const int64_t half = kernels::tree_half(sequences.count);
      add_tree({sequences.starts, half}, most, grad);
      const Tensor right = torch::zeros_like(grad);
      add_tree({sequences.starts + half, sequences.count - half}, most, right);
      grad.add_(right);
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
    ctx->save_for_backward({x, weight, targets, lse, entropy, sequences.value_or(Tensor())});
    return {logprob, entropy};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const int64_t rows = x.size(0), chunk = std::max<int64_t>(1, kChunkLogits / weight.size(0));
    HeadBackward head{.x = x,
                      .targets = saved[2],
                      .lse = saved[3],
                      .entropy = saved[4],
                      .d_logprob = grads[0].defined() ? grads[0].contiguous() : torch::zeros({rows}, torch::kFloat32),
                      .d_entropy = grads[1].defined() ? grads[1].contiguous() : Tensor(),
                      .dx = torch::empty_like(x),
                      .transform = transform_of(ctx),
                      .head = Head(weight)};
    if (head.head.transposed.defined() && !weight.requires_grad()) {
      for (int64_t begin = 0; begin < rows; begin += chunk)
        head.rows(begin, std::min(chunk, rows - begin), [](const float*, const float*, int64_t, int64_t) {});
    } else if (head.head.transposed.defined()) {
      const kernels::Sequences sequences = sequences_of(saved[5], rows);
      if (rows <= chunk) {
        head.add_tree(sequences, chunk, weight.grad());
      } else {
        const Tensor sum = torch::zeros_like(weight);
        head.add_tree(sequences, chunk, sum);
        weight.grad().add_(sum);
      }
    } else {
      for (int64_t begin = 0; begin < rows; begin += chunk) {
        const int64_t n = std::min(chunk, rows - begin);
        const Tensor rounded = head.chunk(begin, n).to(weight.scalar_type());
        head.dx.narrow(0, begin, n).copy_(at::mm(rounded, weight));
        if (weight.requires_grad())
          weight.grad().add_(at::mm(rounded.t(), x.narrow(0, begin, n).to(weight.scalar_type())));
      }
    }
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
