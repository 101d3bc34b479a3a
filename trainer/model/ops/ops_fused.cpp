// The autograd functions that run on the CUDA kernels. Saved data cannot hold a raw pointer, so each function saves the
// address of the kernels' table as a number.
#include "trainer/model/ops/ops_fused.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/autograd/custom_function.h>

#include <stdexcept>

#include "trainer/model/ops/ops_aten.h"
#include "trainer/model/ops/ops_cpu.h"

namespace terse::trainer::ops {

namespace {

using torch::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;
namespace cuda = kernels::cuda;

void keep(AutogradContext* ctx, const cuda::Table* table) {
  ctx->saved_data["table"] = static_cast<int64_t>(reinterpret_cast<intptr_t>(table));
}
const cuda::Table& kept(AutogradContext* ctx) {
  return *reinterpret_cast<const cuda::Table*>(static_cast<intptr_t>(ctx->saved_data["table"].toInt()));
}

cuda::Dtype dtype_of(const Tensor& x) {
  if (x.scalar_type() == torch::kFloat32) return cuda::Dtype::kFloat32;
  if (x.scalar_type() == torch::kBFloat16) return cuda::Dtype::kBFloat16;
  throw std::invalid_argument(fmt::format("the CUDA kernels support fp32 and bf16, not {}", toString(x.scalar_type())));
}
// Returns the data of a tensor. Throws std::invalid_argument unless it is contiguous and has the dtype of `like`.
void* data_of(const Tensor& t, const Tensor& like) {
  if (t.scalar_type() != like.scalar_type() || !t.is_contiguous()) {
    throw std::invalid_argument(fmt::format(
        "the CUDA kernels need contiguous tensors of one dtype; found a {} tensor of {}, expected {}",
        t.is_contiguous() ? "contiguous" : "non-contiguous", toString(t.scalar_type()), toString(like.scalar_type())));
  }
  return t.data_ptr();
}
char* offset(const Tensor& t, int64_t elements) {
  return static_cast<char*>(t.data_ptr()) + elements * t.element_size();
}
Tensor fp32_like(const Tensor& x, at::IntArrayRef shape) {
  return torch::empty(shape, x.options().dtype(torch::kFloat32));
}
Tensor norm_scratch(const Tensor& x, int64_t vectors, int64_t width) {
  return fp32_like(x, {cuda::rms_norm_slabs(vectors), width});
}

void norm_forward(const cuda::Table& table, const cuda::RmsNorm& args, const Tensor& x) {
  cuda::require(table.rms_norm(args, current_stream(x.device())), "rms_norm", {args.rows, args.groups, args.width});
}
void norm_backward(const cuda::Table& table, const cuda::RmsNormGrad& args, const Tensor& x) {
  cuda::require(table.rms_norm_backward(args, current_stream(x.device())), "rms_norm_backward",
                {args.rows, args.groups, args.width});
}

struct FusedRmsNorm : Function<FusedRmsNorm> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& weight, double eps,
                        const cuda::Table* table) {
    const int64_t rows = x.size(0), width = x.size(1);
    Tensor y = torch::empty_like(x), rstd = fp32_like(x, {rows});
    norm_forward(*table,
                 {.dtype = dtype_of(x),
                  .x = data_of(x, x),
                  .weight = data_of(weight, x),
                  .eps = static_cast<float>(eps),
                  .y = y.data_ptr(),
                  .rstd = rstd.data_ptr<float>(),
                  .rows = rows,
                  .width = width},
                 x);
    ctx->save_for_backward({x, weight, rstd});
    keep(ctx, table);
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], dy = grads[0].contiguous();
    Tensor dx = torch::empty_like(dy), partial = norm_scratch(x, x.size(0), x.size(1)), dweight = vector_grad(weight);
    norm_backward(kept(ctx),
                  {.dtype = dtype_of(x),
                   .dy = data_of(dy, x),
                   .x = data_of(x, x),
                   .weight = data_of(weight, x),
                   .rstd = saved[2].data_ptr<float>(),
                   .dx = dx.data_ptr(),
                   .dweight = data_of(dweight, x),
                   .partial = partial.data_ptr<float>(),
                   .rows = x.size(0),
                   .width = x.size(1)},
                  x);
    return {dx, Tensor(), Tensor(), Tensor()};
  }
};

struct FusedAddRmsNorm : Function<FusedAddRmsNorm> {
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const Tensor& delta, const Tensor& weight,
                               double eps, const cuda::Table* table) {
    const int64_t rows = x.size(0), width = x.size(1);
    Tensor sum = torch::empty_like(x), y = torch::empty_like(x), rstd = fp32_like(x, {rows});
    norm_forward(*table,
                 {.dtype = dtype_of(x),
                  .x = data_of(x, x),
                  .delta = data_of(delta, x),
                  .sum = sum.data_ptr(),
                  .weight = data_of(weight, x),
                  .eps = static_cast<float>(eps),
                  .y = y.data_ptr(),
                  .rstd = rstd.data_ptr<float>(),
                  .rows = rows,
                  .width = width},
                 x);
    ctx->save_for_backward({sum, weight, rstd});
    keep(ctx, table);
    return {sum, y};
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor &sum = saved[0], &weight = saved[1];
    const Tensor dsum = grads[0].contiguous(), dy = grads[1].contiguous();
    Tensor d = torch::empty_like(sum), partial = norm_scratch(sum, sum.size(0), sum.size(1)),
           dweight = vector_grad(weight);
    norm_backward(kept(ctx),
                  {.dtype = dtype_of(sum),
                   .dy = data_of(dy, sum),
                   .x = data_of(sum, sum),
                   .weight = data_of(weight, sum),
                   .rstd = saved[2].data_ptr<float>(),
                   .dsum = data_of(dsum, sum),
                   .dx = d.data_ptr(),
                   .dweight = data_of(dweight, sum),
                   .partial = partial.data_ptr<float>(),
                   .rows = sum.size(0),
                   .width = sum.size(1)},
                  sum);
    return {d, d, Tensor(), Tensor(), Tensor()};
  }
};

struct FusedQkNorm : Function<FusedQkNorm> {
  static Tensor forward(AutogradContext* ctx, const Tensor& qkv, const Tensor& q_norm, const Tensor& k_norm,
                        int64_t heads, int64_t kv_heads, double eps, const cuda::Table* table) {
    const int64_t rows = qkv.size(0), c = q_norm.size(0), stride = qkv.size(1);
    Tensor y = qkv.clone(), q_rstd = fp32_like(qkv, {rows, heads}), k_rstd = fp32_like(qkv, {rows, kv_heads});
    data_of(qkv, qkv);
    const auto norm = [&](int64_t first, int64_t groups, const Tensor& weight, const Tensor& rstd) {
      norm_forward(*table,
                   {.dtype = dtype_of(qkv),
                    .x = offset(qkv, first * c),
                    .weight = data_of(weight, qkv),
                    .eps = static_cast<float>(eps),
                    .y = offset(y, first * c),
                    .rstd = rstd.data_ptr<float>(),
                    .rows = rows,
                    .groups = groups,
                    .width = c,
                    .x_stride = stride,
                    .y_stride = stride},
                   qkv);
    };
    norm(0, heads, q_norm, q_rstd);
    norm(heads, kv_heads, k_norm, k_rstd);
    ctx->save_for_backward({qkv, q_norm, k_norm, q_rstd, k_rstd});
    keep(ctx, table);
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor& qkv = saved[0];
    const int64_t rows = qkv.size(0), c = saved[1].size(0), stride = qkv.size(1);
    Tensor d = grads[0].contiguous().clone();
    data_of(d, qkv);
    const auto norm = [&](int64_t first, const Tensor& weight, const Tensor& rstd) {
      const int64_t groups = rstd.size(1);
      Tensor partial = norm_scratch(qkv, rows * groups, c), dweight = vector_grad(weight);
      norm_backward(kept(ctx),
                    {.dtype = dtype_of(qkv),
                     .dy = offset(d, first * c),
                     .x = offset(qkv, first * c),
                     .weight = data_of(weight, qkv),
                     .rstd = rstd.data_ptr<float>(),
                     .dx = offset(d, first * c),
                     .dweight = data_of(dweight, qkv),
                     .partial = partial.data_ptr<float>(),
                     .rows = rows,
                     .groups = groups,
                     .width = c,
                     .dy_stride = stride,
                     .x_stride = stride,
                     .dx_stride = stride},
                    qkv);
    };
    norm(0, saved[1], saved[3]);
    norm(saved[3].size(1), saved[2], saved[4]);
    return {d, Tensor(), Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

struct FusedSplitRope : Function<FusedSplitRope> {
  static void turn(const cuda::Table& table, const Tensor& qkv, const Tensor& q, const Tensor& k, const Tensor& v,
                   const Tensor& positions, const Tensor& angles, bool inverse) {
    const cuda::SplitRope args{.dtype = dtype_of(qkv),
                               .qkv = data_of(qkv, qkv),
                               .q = data_of(q, qkv),
                               .k = data_of(k, qkv),
                               .v = data_of(v, qkv),
                               .positions = positions.data_ptr<int64_t>(),
                               .table = angles.data_ptr<float>(),
                               .rows = q.size(0),
                               .heads = q.size(1),
                               .kv_heads = k.size(1),
                               .head_dim = q.size(2),
                               .inverse = inverse};
    cuda::require(table.split_rope(args, current_stream(qkv.device())), "split_rope",
                  {args.rows, args.heads, args.kv_heads, args.head_dim});
  }
  static variable_list forward(AutogradContext* ctx, const Tensor& qkv, const Tensor& positions, const Tensor& angles,
                               int64_t heads, int64_t kv_heads, const cuda::Table* table) {
    const int64_t rows = qkv.size(0), c = angles.size(1);
    Tensor q = torch::empty({rows, heads, c}, qkv.options()), k = torch::empty({rows, kv_heads, c}, qkv.options());
    Tensor v = torch::empty_like(k);
    turn(*table, qkv, q, k, v, positions, angles, false);
    ctx->save_for_backward({positions, angles});
    keep(ctx, table);
    return {q, k, v};
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const Tensor dq = grads[0].contiguous(), dk = grads[1].contiguous(), dv = grads[2].contiguous();
    Tensor d = torch::empty({dq.size(0), (dq.size(1) + 2 * dk.size(1)) * dq.size(2)}, dq.options());
    turn(kept(ctx), d, dq, dk, dv, saved[0], saved[1], true);
    return {d, Tensor(), Tensor(), Tensor(), Tensor(), Tensor()};
  }
};

struct FusedSwiGlu : Function<FusedSwiGlu> {
  static Tensor forward(AutogradContext* ctx, const Tensor& gate_up, const cuda::Table* table) {
    Tensor h = torch::empty({gate_up.size(0), gate_up.size(1) / 2}, gate_up.options());
    const cuda::SwiGlu args{.dtype = dtype_of(gate_up),
                            .gate_up = data_of(gate_up, gate_up),
                            .h = h.data_ptr(),
                            .rows = h.size(0),
                            .intermediate_size = h.size(1)};
    cuda::require(table->swiglu(args, current_stream(h.device())), "swiglu", {args.rows, args.intermediate_size});
    ctx->save_for_backward({gate_up});
    keep(ctx, table);
    return h;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const Tensor gate_up = ctx->get_saved_variables()[0], dh = grads[0].contiguous();
    Tensor d = torch::empty_like(gate_up);
    const cuda::SwiGlu args{.dtype = dtype_of(gate_up),
                            .gate_up = gate_up.data_ptr(),
                            .dh = data_of(dh, gate_up),
                            .d_gate_up = d.data_ptr(),
                            .rows = dh.size(0),
                            .intermediate_size = dh.size(1)};
    cuda::require(kept(ctx).swiglu_backward(args, current_stream(d.device())), "swiglu_backward",
                  {args.rows, args.intermediate_size});
    return {d, Tensor()};
  }
};

}  // namespace

cuda::Stream current_stream(torch::Device device) {
  if (device.is_cpu()) return nullptr;
  // Uses the interface that libtorch_cuda registers in libc10, so that no CUDA library need be linked.
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

Tensor Fused::rms_norm(const Tensor& x, const Tensor& weight, double eps) const {
  return table_ != nullptr ? FusedRmsNorm::apply(x, weight, eps, table_) : aten::rms_norm(x, weight, eps);
}

NormedSum Fused::add_rms_norm(const Tensor& x, const Tensor& delta, const Tensor& weight, double eps) const {
  if (table_ != nullptr) {
    const variable_list both = FusedAddRmsNorm::apply(x, delta, weight, eps, table_);
    return {both[0], both[1]};
  }
  const Tensor sum = x + delta;
  return {sum, aten::rms_norm(sum, weight, eps)};
}

Tensor Fused::qk_norm(const Tensor& qkv, const Tensor& q_norm, const Tensor& k_norm, const ModelSpec& spec) const {
  return table_ != nullptr ? FusedQkNorm::apply(qkv, q_norm, k_norm, spec.heads, spec.kv_heads, spec.norm_eps, table_)
                           : aten::qk_norm(qkv, q_norm, k_norm, spec);
}

Tensor Fused::swiglu(const Tensor& gate_up) const {
  return table_ != nullptr ? FusedSwiGlu::apply(gate_up, table_) : aten::swiglu(gate_up);
}

std::array<Tensor, 3> Fused::split_rope(const Tensor& qkv, const Tensor& positions, const Tensor& rope,
                                        const ModelSpec& spec) const {
  if (table_ == nullptr) return aten::split_rope(qkv, positions, rope, spec);
  const variable_list parts = FusedSplitRope::apply(qkv, positions, rope, spec.heads, spec.kv_heads, table_);
  return {parts[0], parts[1], parts[2]};
}

}  // namespace terse::trainer::ops
