// Dispatch of the operations, and their autograd functions on the CPU kernels.
#include "trainer/model/ops/ops.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "trainer/model/ops/matmul.h"
#include "trainer/model/ops/ops_aten.h"
#include "trainer/model/ops/ops_cpu.h"
#include "trainer/model/ops/ops_fused.h"

namespace terse::trainer::ops {

namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

const float* in(const Tensor& t) {
  return t.data_ptr<float>();
}
float* out(const Tensor& t) {
  return t.data_ptr<float>();
}
// The buffer to which the gradient of a weight is added. On the CPU it is fp32, whatever the weight's dtype.
float* grad_of(const Tensor& weight) {
  return weight.grad().data_ptr<float>();
}
Tensor fp32(at::IntArrayRef shape) {
  return torch::empty(shape, torch::kFloat32);
}

struct Embed : Function<Embed> {
  static Tensor forward(AutogradContext* ctx, const Tensor& tokens, const Tensor& weight,
                        const std::optional<Tensor>& sequences) {
    ctx->save_for_backward({tokens, weight, sequences.value_or(Tensor())});
    if (weight.scalar_type() != torch::kFloat32) return weight.index_select(0, tokens).to(torch::kFloat32);
    Tensor y = fp32({tokens.size(0), weight.size(1)});
    kernels::cpu().embedding(in(weight), tokens.data_ptr<int64_t>(), out(y), tokens.size(0), weight.size(1));
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor dy = grads[0].contiguous(), &tokens = saved[0];
    const Tensor by_token = std::get<1>(tokens.sort(/*stable=*/std::optional(true), /*dim=*/0, /*descending=*/false));
    kernels::cpu().embedding_backward(in(dy), tokens.data_ptr<int64_t>(), by_token.data_ptr<int64_t>(),
                                      grad_of(saved[1]), sequences_of(saved[2], dy.size(0)), dy.size(1));
    return {Tensor(), Tensor(), Tensor()};
  }
};

struct RmsNorm : Function<RmsNorm> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, double eps,
                        const std::optional<Tensor>& sequences) {
    const int64_t rows = x.size(0), width = x.size(1);
    Tensor y = torch::empty_like(x), rstd = fp32({rows});
    kernels::cpu().rms_norm({.x = in(x),
                             .weight = in(weight),
                             .eps = static_cast<float>(eps),
                             .y = out(y),
                             .rstd = out(rstd),
                             .rows = rows,
                             .groups = 1,
                             .width = width});
    ctx->save_for_backward({x, weight, rstd, sequences.value_or(Tensor())});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor dy = grads[0].contiguous();
    Tensor dx = torch::empty_like(dy), dweight = vector_grad(saved[1]);
    kernels::cpu().rms_norm_backward({.dy = in(dy),
                                      .x = in(saved[0]),
                                      .weight = in(saved[1]),
                                      .rstd = in(saved[2]),
                                      .dx = out(dx),
                                      .dweight = out(dweight),
                                      .sequences = sequences_of(saved[3], dy.size(0)),
                                      .groups = 1,
                                      .width = dy.size(1)});
    return {dx, Tensor(), Tensor(), Tensor()};
  }
};

struct Linear : Function<Linear> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight,
                        const std::optional<Tensor>& optional_bias, const std::optional<Tensor>& sequences) {
    const Tensor bias = optional_bias.value_or(Tensor()), factor = as_factor(x, weight.scalar_type());
    ctx->save_for_backward({factor, weight});
    ctx->saved_data["bias"] = bias;
    ctx->saved_data["sequences"] = sequences.value_or(Tensor());
    return multiply_packed(factor, pack(weight), bias);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], dy = grads[0].contiguous();
    const Tensor bias = ctx->saved_data["bias"].toTensor();
    const kernels::Sequences sequences = sequences_of(ctx->saved_data["sequences"].toTensor(), dy.size(0));
    if (bias.defined() && bias.requires_grad())
      kernels::cpu().column_sum(in(dy), grad_of(bias), sequences, weight.size(0));
    const Tensor factor = as_factor(dy, weight.scalar_type()), dx = fp32({dy.size(0), weight.size(1)});
    multiply_rows(factor, weight, dx, /*accumulate=*/false);
    if (weight.requires_grad()) add_weight_grad(factor, x, weight.grad(), sequences);
    return {dx, Tensor(), Tensor(), Tensor()};
  }
};

struct QkNorm : Function<QkNorm> {
  static Tensor forward(AutogradContext* ctx, const Tensor& qkv, const Tensor& q_norm, const Tensor& k_norm,
                        int64_t heads, int64_t kv_heads, double eps, const std::optional<Tensor>& sequences) {
    const int64_t rows = qkv.size(0), c = q_norm.size(0), stride = qkv.size(1);
    Tensor y = qkv.clone(), q_rstd = fp32({rows, heads}), k_rstd = fp32({rows, kv_heads});
    const auto norm = [&](int64_t first, int64_t groups, const Tensor& weight, const Tensor& rstd) {
      kernels::cpu().rms_norm({.x = in(qkv) + first * c,
                               .weight = in(weight),
                               .eps = static_cast<float>(eps),
                               .y = out(y) + first * c,
                               .rstd = out(rstd),
                               .rows = rows,
                               .groups = groups,
                               .width = c,
                               .x_stride = stride,
                               .y_stride = stride});
    };
    norm(0, heads, q_norm, q_rstd);
    norm(heads, kv_heads, k_norm, k_rstd);
    ctx->save_for_backward({qkv, q_norm, k_norm, q_rstd, k_rstd, sequences.value_or(Tensor())});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor& qkv = saved[0];
    const int64_t rows = qkv.size(0), c = saved[1].size(0), stride = qkv.size(1);
    Tensor d = grads[0].contiguous().clone();
    const auto norm = [&](int64_t first, int64_t groups, const Tensor& weight, const Tensor& rstd) {
      const Tensor dweight = vector_grad(weight);
      kernels::cpu().rms_norm_backward({.dy = in(d) + first * c,
                                        .x = in(qkv) + first * c,
                                        .weight = in(weight),
                                        .rstd = in(rstd),
                                        .dx = out(d) + first * c,
                                        .dweight = out(dweight),
                                        .sequences = sequences_of(saved[5], rows),
                                        .groups = groups,
                                        .width = c,
                                        .dy_stride = stride,
                                        .x_stride = stride,
                                        .dx_stride = stride});
    };
    const int64_t heads = saved[3].size(1);
    norm(0, heads, saved[1], saved[3]);
    norm(heads, saved[4].size(1), saved[2], saved[4]);
    return {d, Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

// Heads of a packed qkv row, as the kernels address them.
kernels::Attention attention_args(const Tensor& qkv, const Segments& segments, const Tensor& result, const Tensor& lse,
                                  int64_t heads, int64_t kv_heads, double scale) {
  const int64_t stride = qkv.size(1), c = stride / (heads + 2 * kv_heads);
  return {.q = in(qkv),
          .k = in(qkv) + heads * c,
          .v = in(qkv) + (heads + kv_heads) * c,
          .segments = segments.starts.data_ptr<int32_t>(),
          .segment_count = segments.starts.size(0) - 1,
          .prefixes = segments.prefixes.defined() ? segments.prefixes.data_ptr<int32_t>() : nullptr,
          .heads = heads,
          .kv_heads = kv_heads,
          .head_dim = c,
          .q_stride = stride,
          .kv_stride = stride,
          .scale = static_cast<float>(scale),
          .out = out(result),
          .lse = out(lse)};
}

struct RopeAttention : Function<RopeAttention> {
  static kernels::Rope rope_args(const Tensor& qkv, const Tensor& positions, const Tensor& table, int64_t heads,
                                 bool inverse) {
    return {.x = out(qkv),
            .positions = positions.data_ptr<int64_t>(),
            .table = in(table),
            .rows = qkv.size(0),
            .heads = heads,
            .head_dim = table.size(1),
            .row_stride = qkv.size(1),
            .inverse = inverse};
  }
  static Tensor forward(AutogradContext* ctx, const Tensor& qkv, const Tensor& positions, const Tensor& starts,
                        const std::optional<Tensor>& prefixes, const Tensor& table, const ModelSpec& spec) {
    const int64_t heads = spec.heads, kv_heads = spec.kv_heads;
    const double scale = spec.attention_scale();
    const Segments segments{starts, prefixes.value_or(Tensor())};
    const int64_t rows = qkv.size(0);
    Tensor turned = qkv.clone(), y = fp32({rows, heads * table.size(1)}), lse = fp32({rows, heads});
    kernels::cpu().rope(rope_args(turned, positions, table, heads + kv_heads, false));
    // The backward pass takes the rounding for the identity.
    if (spec.bf16_kv)
      kernels::cpu().round_rows(out(turned) + spec.attention_size(), rows, 2 * kv_heads * spec.head_dim,
                                turned.size(1));
    kernels::cpu().attention(attention_args(turned, segments, y, lse, heads, kv_heads, scale));
    ctx->save_for_backward({turned, positions, starts, table, y, lse, segments.prefixes});
    ctx->saved_data["kv_heads"] = kv_heads;
    ctx->saved_data["scale"] = scale;
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &qkv = saved[0], &table = saved[3], dy = grads[0].contiguous();
    const int64_t heads = saved[5].size(1), kv_heads = ctx->saved_data["kv_heads"].toInt(), c = table.size(1);
    Tensor d = torch::empty_like(qkv);
    kernels::cpu().attention_backward({.forward = attention_args(qkv, {saved[2], saved[6]}, saved[4], saved[5], heads,
                                                                 kv_heads, ctx->saved_data["scale"].toDouble()),
                                       .d_out = in(dy),
                                       .dq = out(d),
                                       .dk = out(d) + heads * c,
                                       .dv = out(d) + (heads + kv_heads) * c});
    kernels::cpu().rope(rope_args(d, saved[1], table, heads + kv_heads, true));
    return {d, Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

struct SwiGlu : Function<SwiGlu> {
  static Tensor forward(AutogradContext* ctx, const Tensor& gate_up) {
    Tensor h = fp32({gate_up.size(0), gate_up.size(1) / 2});
    kernels::cpu().swiglu(in(gate_up), out(h), h.size(0), h.size(1));
    ctx->save_for_backward({gate_up});
    return h;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const Tensor gate_up = ctx->get_saved_variables()[0], dh = grads[0].contiguous();
    Tensor d = torch::empty_like(gate_up);
    kernels::cpu().swiglu_backward(in(gate_up), in(dh), out(d), dh.size(0), dh.size(1));
    return {d};
  }
};

bool on_kernels(const Tensor& x) {
  return x.device().is_cpu();
}

}  // namespace

Tensor make_rope_table(const ModelSpec& spec, torch::Device device) {
  Tensor table = fp32({spec.max_seq_len, spec.head_dim});
  kernels::rope_table(out(table), spec.max_seq_len, rope_frequencies(spec));
  return table.to(device);
}

Tensor embed(const Tensor& tokens, const Tensor& weight, const Tensor& sequences) {
  return on_kernels(weight) ? Embed::apply(tokens, weight, if_defined(sequences)) : aten::embed(tokens, weight);
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps, const Tensor& sequences) {
  return on_kernels(x) ? RmsNorm::apply(x, weight, eps, if_defined(sequences))
                       : Fused(x.device()).rms_norm(x, weight, eps);
}

NormedSum add_rms_norm(const Tensor& x, const Tensor& delta, const Tensor& weight, double eps,
                       const Tensor& sequences) {
  if (!on_kernels(x)) return Fused(x.device()).add_rms_norm(x, delta, weight, eps);
  const Tensor sum = x + delta;
  return {sum, RmsNorm::apply(sum, weight, eps, if_defined(sequences))};
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& sequences) {
  return on_kernels(x) ? Linear::apply(x, weight, if_defined(bias), if_defined(sequences))
                       : aten::linear(x, weight, bias);
}

Tensor qk_norm(const Tensor& qkv, const Tensor& q_norm, const Tensor& k_norm, const ModelSpec& spec,
               const Tensor& sequences) {
  return on_kernels(qkv)
             ? QkNorm::apply(qkv, q_norm, k_norm, spec.heads, spec.kv_heads, spec.norm_eps, if_defined(sequences))
             : Fused(qkv.device()).qk_norm(qkv, q_norm, k_norm, spec);
}

Tensor attention(const Tensor& qkv, const Tensor& positions, const Segments& segments, const Tensor& rope,
                 const ModelSpec& spec) {
  if (on_kernels(qkv)) {
    return RopeAttention::apply(qkv, positions, segments.starts, if_defined(segments.prefixes), rope, spec);
  }
  const auto [q, k, v] = Fused(qkv.device()).split_rope(qkv, positions, rope, spec);
  return aten::attend(q, k, v, segments, spec);
}

Tensor swiglu(const Tensor& gate_up) {
  return on_kernels(gate_up) ? SwiGlu::apply(gate_up) : Fused(gate_up.device()).swiglu(gate_up);
}

}  // namespace terse::trainer::ops
