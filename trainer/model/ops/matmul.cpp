// Chooses the kernel by the dtype of the weight.
#include "trainer/model/ops/matmul.h"

#include <fmt/format.h>

#include <stdexcept>

namespace terse::trainer::ops {

namespace {

using kernels::Bf16;
using torch::Tensor;

bool is_bf16(const Tensor& t) {
  if (t.scalar_type() == torch::kBFloat16) return true;
  if (t.scalar_type() == torch::kFloat32) return false;
  throw std::logic_error(
      fmt::format("the kernels multiply fp32 and bf16 weights, not {}", c10::toString(t.scalar_type())));
}

float* fp32(const Tensor& t) {
  return t.data_ptr<float>();
}
Bf16* bf16(const Tensor& t) {
  return reinterpret_cast<Bf16*>(t.data_ptr<at::BFloat16>());
}

}  // namespace

Tensor as_factor(const Tensor& x, torch::ScalarType dtype) {
  if (dtype == torch::kFloat32) return x;
  Tensor rounded = torch::empty(x.sizes(), dtype);
  kernels::cpu().round_to_bf16(fp32(x), bf16(rounded), x.numel());
  return rounded;
}

Tensor pack(const Tensor& weight) {
  const int64_t n = weight.size(0), k = weight.size(1);
  const bool halves = is_bf16(weight);
  const int64_t size = halves ? kernels::packed_bf16(n, k) : kernels::packed_floats(n, k);
  Tensor panels = torch::empty({(size + k - 1) / k, k}, weight.scalar_type());
  if (halves)
    kernels::cpu().pack_weight_bf16(bf16(weight), bf16(panels), n, k);
  else
    kernels::cpu().pack_weight(fp32(weight), fp32(panels), n, k);
  return panels.narrow(0, 0, n);
}

Tensor multiply_packed(const Tensor& x, const Tensor& panels, const Tensor& bias) {
  const int64_t rows = x.size(0), n = panels.size(0), k = panels.size(1);
  Tensor y = torch::empty({rows, n}, torch::kFloat32);
  const float* start = bias.defined() ? fp32(bias) : nullptr;
  if (is_bf16(panels))
    kernels::cpu().gemm_packed_bf16(bf16(x), bf16(panels), start, fp32(y), rows, n, k);
  else
    kernels::cpu().gemm_packed(fp32(x), fp32(panels), start, fp32(y), rows, n, k);
  return y;
}

void multiply_rows(const Tensor& dy, const Tensor& weight, const Tensor& sum, bool accumulate) {
  const int64_t rows = dy.size(0), n = weight.size(0), k = weight.size(1);
  if (is_bf16(weight))
    kernels::cpu().gemm_bf16(bf16(dy), bf16(weight), fp32(sum), rows, k, n, accumulate);
  else
    kernels::cpu().gemm(fp32(dy), fp32(weight), nullptr, fp32(sum), rows, k, n, accumulate);
}

void add_weight_grad(const Tensor& dy, const Tensor& x, const Tensor& grad, const kernels::Sequences& sequences) {
  const int64_t n = dy.size(1), k = x.size(1);
  if (is_bf16(x))
    kernels::cpu().weight_grad_bf16(bf16(dy), bf16(x), fp32(grad), sequences, n, k);
  else
    kernels::cpu().weight_grad(fp32(dy), fp32(x), fp32(grad), sequences, n, k);
}

}  // namespace terse::trainer::ops
