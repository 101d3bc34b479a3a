// Compares values and gradients of the fused operations with LibTorch's. The CUDA kernels run on the host and on a GPU.
#include "trainer/model/ops/ops_fused.h"

#include "tests/support/cuda_on_host.h"
#include "tests/support/tiny_model.h"
#include "trainer/model/ops/ops_aten.h"

namespace terse::trainer {
namespace {

using ops::Fused;
using torch::Tensor;

// The reference is computed in fp32 from the same numbers. bf16 rounds intermediate and final results to 8 bits, so it
// needs a larger tolerance.
void expect_close(const Tensor& found, const Tensor& expected, const char* what) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  if (found.numel() == 0) return;
  const double tolerance = found.scalar_type() == torch::kBFloat16 ? 0x1p-7 : 2e-5;
  const double scale = std::max(1.0, expected.abs().max().item<double>());
  EXPECT_LT((found.to(torch::kFloat32) - expected).abs().max().item<double>(), tolerance * scale) << what;
}

class FusedOps : public support::OnHostAndGpu {
 protected:
  // A leaf in `dtype` with its gradient buffer, and the same numbers in fp32.
  struct Pair {
    Tensor fused, reference;
  };
  Pair leaf(at::IntArrayRef shape, torch::ScalarType dtype, double scale = 1.0) const {
    const auto with_grad = [](const Tensor& t) {
      Tensor copy = t.clone().requires_grad_(true);
      copy.mutable_grad() = torch::zeros_like(t);
      return copy;
    };
    const Tensor value = (torch::randn(shape) * scale).to(device_, dtype);
    return {with_grad(value), with_grad(value.to(torch::kFloat32))};
  }
  void backward(const Tensor& fused, const Tensor& reference) const {
    const Tensor up = torch::randn(fused.sizes()).to(device_, fused.scalar_type());
    fused.backward(up);
    reference.backward(up.to(torch::kFloat32));
  }
  static void expect_same(const char* what, const Tensor& y, const Tensor& z, std::initializer_list<Pair> leaves) {
    expect_close(y.detach(), z.detach(), what);
    for (const Pair& pair : leaves) expect_close(pair.fused.grad(), pair.reference.grad(), what);
  }

  Fused fused() const { return Fused(table_); }
};
TERSE_ON_HOST_AND_GPU(FusedOps);

constexpr torch::ScalarType kDtypes[] = {torch::kFloat32, torch::kBFloat16};

TEST_P(FusedOps, NormsMatchLibTorch) {
  for (const auto dtype : kDtypes) {
    for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{29, 48}, {1, 7}, {130, 264}, {2000, 16}}) {
      const Pair x = leaf({rows, width}, dtype), w = leaf({width}, dtype);
      const Tensor y = fused().rms_norm(x.fused, w.fused, 1e-6);
      const Tensor z = ops::aten::rms_norm(x.reference, w.reference, 1e-6);
      backward(y, z);
      expect_same("rms_norm", y, z, {x, w});

      const Pair a = leaf({rows, width}, dtype), b = leaf({rows, width}, dtype), u = leaf({width}, dtype);
      const auto [sum, normed] = fused().add_rms_norm(a.fused, b.fused, u.fused, 1e-6);
      EXPECT_TRUE(torch::equal(sum, a.fused + b.fused));
      // The reference normalises the rounded sum, too. Its derivative must ignore the rounding.
      const Tensor exact = a.reference + b.reference;
      const Tensor rounded = exact + (sum.detach().to(torch::kFloat32) - exact.detach());
      backward(sum * 0.5 + normed, rounded * 0.5 + ops::aten::rms_norm(rounded, u.reference, 1e-6));
      expect_same("add_rms_norm", normed, ops::aten::rms_norm(rounded, u.reference, 1e-6), {a, b, u});
    }
  }
}

TEST_P(FusedOps, SwiGluMatchesLibTorch) {
  for (const auto dtype : kDtypes) {
    for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{29, 17}, {1, 1}, {64, 256}}) {
      const Pair x = leaf({rows, 2 * width}, dtype, 3.0);
      const Tensor y = fused().swiglu(x.fused), z = ops::aten::swiglu(x.reference);
      backward(y, z);
      expect_same("swiglu", y, z, {x});
    }
  }
}

TEST_P(FusedOps, AttentionMatchesLibTorchWithGroupedHeadsAndQkNorm) {
  for (const auto dtype : kDtypes) {
    for (const int64_t kv_heads : {1, 2, 4}) {
      const ModelSpec spec = support::tiny_spec({.kv_heads = kv_heads});
      const data::Batch batch = data::pack(support::random_sequences({1, 7, 40, 16, 17}, 3)).to(device_);
      const Tensor rope = ops::make_rope_table(spec, device_);
      const Pair x = leaf({batch.token_count(), spec.qkv_size()}, dtype), q_norm = leaf({16}, dtype),
                 k_norm = leaf({16}, dtype);
      const auto [q, k, v] =
          fused().split_rope(fused().qk_norm(x.fused, q_norm.fused, k_norm.fused, spec), batch.positions, rope, spec);
      const auto [q2, k2, v2] = ops::aten::split_rope(
          ops::aten::qk_norm(x.reference, q_norm.reference, k_norm.reference, spec), batch.positions, rope, spec);
      expect_close(q.detach(), q2.detach(), "q");
      expect_close(k.detach(), k2.detach(), "k");
      expect_close(v.detach(), v2.detach(), "v");
      const auto mixed = [&](const Tensor& a, const Tensor& b, const Tensor& c) {
        return torch::cat({a, b * 0.5, c * 2}, 1);
      };
      const Tensor y = mixed(q, k, v), z = mixed(q2, k2, v2);
      backward(y, z);
      expect_same("qk_norm and split_rope", y, z, {x, q_norm, k_norm});
    }
  }
}

TEST_P(FusedOps, ZeroRowsAreFine) {
  for (const auto dtype : kDtypes) {
    const Pair x = leaf({0, 24}, dtype), w = leaf({24}, dtype);
    w.fused.grad().fill_(3.0);
    fused().rms_norm(x.fused, w.fused, 1e-6).sum().backward();
    EXPECT_TRUE(torch::equal(w.fused.grad(), torch::full_like(w.fused, 3.0)));
    EXPECT_EQ(fused().swiglu(x.fused).sizes(), at::IntArrayRef({0, 12}));
  }
}

TEST_P(FusedOps, MixedDtypesAreRefusedWhereKernelsRun) {
  if (table_ == nullptr) return;
  const Pair x = leaf({3, 8}, torch::kBFloat16);
  EXPECT_THROW(fused().rms_norm(x.fused, torch::ones({8}).to(device_), 1e-6), std::invalid_argument);
}

// All arithmetic except exp is defined to the bit, and host and GPU sum in the same order. So their bits agree.
TEST_P(FusedOps, TheGpuHasTheBitsOfTheHost) {
  const Fused on_host(&support::cuda_on_host());
  if (table_ == nullptr) return;
  for (const auto dtype : kDtypes) {
    const Tensor x = torch::randn({301, 328}).to(dtype), delta = torch::randn({301, 328}).to(dtype);
    const Pair w = leaf({328}, dtype);
    const Tensor weight = w.fused.detach();
    const auto here = fused().add_rms_norm(x.to(device_), delta.to(device_), weight, 1e-6);
    const auto there = on_host.add_rms_norm(x, delta, weight.cpu(), 1e-6);
    EXPECT_TRUE(torch::equal(here.sum.cpu(), there.sum));
    EXPECT_TRUE(torch::equal(here.normed.cpu(), there.normed));
  }
}

// On a GPU this runs the forward and backward passes of a training step. On the host it runs the CPU kernels.
TEST_P(FusedOps, TheModelMatchesTheCpu) {
  const ModelSpec spec = support::tiny_spec({.qk_norm = true, .qkv_bias = true, .tied = false});
  Transformer here(spec, device_, 5), there(spec, torch::kCPU, 5);
  const data::Batch batch = data::pack(support::random_sequences({9, 30, 17, 64}, 1));
  const auto run = [](Transformer& model, const data::Batch& on_cpu) {
    const data::Batch moved = on_cpu.to(model.device());
    const Tensor rows = moved.weights.nonzero().squeeze(1);
    const Tensor loss = -model.logprobs(moved, rows).logprob.mean();
    loss.backward();

    return loss.item<double>();
  };
  EXPECT_NEAR(run(here, batch), run(there, batch), 1e-5);
  expect_close(here.params().grad().cpu(), there.params().grad(), "gradient");
}

}  // namespace
}  // namespace terse::trainer
