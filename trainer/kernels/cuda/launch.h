// Turns the arguments of a launcher into bodies and numbers of units. It chooses the type and whether 16-byte moves are
// possible, and divides the work. `run` executes the work: the GPU in kernels.cu, a loop over blocks and threads in
// tests.
//   run.threads(units, body)   calls body(unit), each on one thread
//   run.warps(units, body)     calls body(team, unit), each on one warp
// Both return null, or the reason why nothing was launched.
#pragma once

#include <initializer_list>

#include "trainer/kernels/cuda/bodies.h"
#include "trainer/kernels/cuda/kernels.h"

namespace terse::trainer::kernels::cuda::launch {

template <class T, bool Whole>
struct Kind {
  using Type = T;
  static constexpr bool kWhole = Whole;
};

// Calls f(Kind) for the dtype. Kind is whole when every pointer is aligned to 16 bytes and every size is a multiple of
// kPack.
template <class F>
const char* with_kind(Dtype dtype, std::initializer_list<const void*> pointers, std::initializer_list<int64_t> sizes,
                      const F& f) {
  bool whole = true;
  for (const void* p : pointers) whole = whole && reinterpret_cast<uintptr_t>(p) % 16 == 0;
  for (const int64_t size : sizes) whole = whole && size % kPack == 0;
  if (dtype == Dtype::kFloat32) return whole ? f(Kind<float, true>{}) : f(Kind<float, false>{});
  return whole ? f(Kind<Bf16, true>{}) : f(Kind<Bf16, false>{});
}

inline int64_t stride_or(int64_t stride, int64_t full) {
  return stride != 0 ? stride : full;
}

template <class T>
const T* in(const void* p) {
  return static_cast<const T*>(p);
}
template <class T>
T* out(void* p) {
  return static_cast<T*>(p);
}

template <class Run>
const char* rms_norm(const RmsNorm& a, const Run& run) {
  const int64_t full = a.groups * a.width, x_stride = stride_or(a.x_stride, full),
                y_stride = stride_or(a.y_stride, full);
  return with_kind(a.dtype, {a.x, a.delta, a.sum, a.weight, a.y}, {a.width, x_stride, y_stride}, [&](auto kind) {
    using T = typename decltype(kind)::Type;
    return run.warps(a.rows * a.groups,
                     RmsNormBody<T, kind.kWhole>{in<T>(a.x), in<T>(a.delta), out<T>(a.sum), in<T>(a.weight),
                                                 out<T>(a.y), a.rstd, a.eps, a.groups, a.width, x_stride, y_stride});
  });
}

template <class Run>
const char* rms_norm_backward(const RmsNormGrad& a, const Run& run) {
  const int64_t full = a.groups * a.width, vectors = a.rows * a.groups;
  const int64_t dy_stride = stride_or(a.dy_stride, full), x_stride = stride_or(a.x_stride, full);
  const int64_t dx_stride = stride_or(a.dx_stride, full);
  const Slabs slabs = slabs_of(vectors);
  if (vectors == 0) return nullptr;
  return with_kind(a.dtype, {a.dy, a.x, a.weight, a.dsum, a.dx, a.partial}, {a.width, dy_stride, x_stride, dx_stride},
                   [&](auto kind) {
                     using T = typename decltype(kind)::Type;
                     constexpr bool kWhole = decltype(kind)::kWhole;
                     // The weight gradient comes first, because dx may overwrite dy.
                     const char* reason =
                         run.warps(slabs.count * ceil_div(a.width, kSpan),
                                   WeightSlabBody<T, kWhole>{in<T>(a.dy), in<T>(a.x), a.rstd, a.partial, vectors,
                                                             slabs.height, a.groups, a.width, dy_stride, x_stride});
                     if (reason != nullptr) return reason;
                     reason = run.warps(a.width, WeightSumBody<T>{a.partial, out<T>(a.dweight), slabs.count, a.width});
                     if (reason != nullptr) return reason;
                     return run.warps(vectors, RmsNormGradBody<T, kWhole>{in<T>(a.dy), in<T>(a.x), in<T>(a.weight),
                                                                          in<T>(a.dsum), a.rstd, out<T>(a.dx), a.groups,
                                                                          a.width, dy_stride, x_stride, dx_stride});
                   });
}

template <class Run>
const char* split_rope(const SplitRope& a, const Run& run) {
  const int64_t half = a.head_dim / 2, packs = ceil_div(half, kPack);
  return with_kind(a.dtype, {a.qkv, a.q, a.k, a.v, a.table}, {half}, [&](auto kind) {
    using T = typename decltype(kind)::Type;
    return run.threads(a.rows * (a.heads + 2 * a.kv_heads) * packs,
                       SplitRopeBody<T, kind.kWhole>{out<T>(a.qkv), out<T>(a.q), out<T>(a.k), out<T>(a.v), a.positions,
                                                     a.table, a.heads, a.kv_heads, half, packs, a.inverse});
  });
}

template <class Run>
const char* swiglu(const SwiGlu& a, const Run& run) {
  const int64_t packs = ceil_div(a.intermediate_size, kPack);
  return with_kind(a.dtype, {a.gate_up, a.h}, {a.intermediate_size}, [&](auto kind) {
    using T = typename decltype(kind)::Type;
    return run.threads(a.rows * packs,
                       SwiGluBody<T, kind.kWhole>{in<T>(a.gate_up), out<T>(a.h), a.intermediate_size, packs});
  });
}

template <class Run>
const char* swiglu_backward(const SwiGlu& a, const Run& run) {
  const int64_t packs = ceil_div(a.intermediate_size, kPack);
  return with_kind(a.dtype, {a.gate_up, a.dh, a.d_gate_up}, {a.intermediate_size}, [&](auto kind) {
    using T = typename decltype(kind)::Type;
    return run.threads(a.rows * packs, SwiGluGradBody<T, kind.kWhole>{in<T>(a.gate_up), in<T>(a.dh),
                                                                      out<T>(a.d_gate_up), a.intermediate_size, packs});
  });
}

template <class Run>
const char* adamw(const AdamW& a, const Run& run) {
  return with_kind(Dtype::kFloat32, {a.master, a.grad, a.m, a.v, a.working}, {a.count}, [&](auto kind) {
    const auto fp32 = [](double x) { return static_cast<float>(x); };
    return run.threads(
        ceil_div(a.count, kPack),
        AdamWBody<kind.kWhole>{a.master, a.grad, a.m, a.v, out<Bf16>(a.working), a.count, a.decayed, fp32(a.clip),
                               fp32(1 - a.lr * a.weight_decay), fp32(1 - a.beta1), fp32(a.beta2), fp32(1 - a.beta2),
                               fp32(a.lr / a.correction1), fp32(std::sqrt(a.correction2)), fp32(a.eps)});
  });
}

}  // namespace terse::trainer::kernels::cuda::launch
