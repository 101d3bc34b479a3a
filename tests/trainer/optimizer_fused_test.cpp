// Compares AdamW on the CUDA kernel with AdamW on the CPU, through the optimizer. The kernel runs on the host and on a
// GPU.
#include "tests/support/cuda_on_host.h"
#include "tests/support/tiny_model.h"
#include "trainer/optimizer.h"

namespace terse::trainer {
namespace {

using torch::Tensor;

class FusedAdamW : public support::OnHostAndGpu {};
TERSE_ON_HOST_AND_GPU(FusedAdamW);

TEST_P(FusedAdamW, FollowsTheCpuWithClippingDecayAndTheWorkingCopy) {
  for (const bool bf16 : {false, true}) {
    ModelSpec spec = support::tiny_spec({.qk_norm = true, .qkv_bias = true, .tied = false});
    spec.bf16 = bf16;
    FlatParams ours(spec, device_, 5), reference(spec, torch::kCPU, 5);
    configs::Optimizer options;
    options.weight_decay = 0.1;
    options.clip_grad_norm = 1.0;
    AdamW fused(ours, options, table_), cpu(reference, options, nullptr);
    for (int step = 0; step < 4; ++step) {
      // The gradient norm is about 0.2 at the first step and grows 20-fold per step. So the first step is not clipped
      // and the others are.
      const Tensor grad = torch::randn({ours.size()}) * (1e-3 * std::pow(20.0, step));
      ours.grad().copy_(grad);
      reference.grad().copy_(grad);
      const AdamW::Update a = fused.step(1e-2), b = cpu.step(1e-2);
      EXPECT_NEAR(a.grad_norm, b.grad_norm, 1e-5 * b.grad_norm);
      EXPECT_TRUE(torch::allclose(ours.master().cpu(), reference.master(), 1e-5, 1e-6)) << "step " << step;
      const Tensor qkv = ours.block(0).qkv.detach().reshape({-1});  // as the model sees it
      const int64_t at = ours.layout().offset_of("model.layers.0.self_attn.q_proj.weight");
      EXPECT_TRUE(torch::equal(qkv, ours.master().narrow(0, at, qkv.numel()).to(qkv.scalar_type())));
      EXPECT_EQ(qkv.scalar_type(), bf16 ? torch::kBFloat16 : torch::kFloat32);
    }
    checkpoints::StateDict saved;
    fused.save(saved);
    EXPECT_EQ(saved.whole("optimizer.updates").item<int64_t>(), 4);
  }
}

TEST_P(FusedAdamW, ANonFiniteGradientChangesNothing) {
  FlatParams params(support::tiny_spec(), device_, 5);
  AdamW optimizer(params, configs::Optimizer(), table_);
  const Tensor before = params.master().clone();
  params.grad().fill_(1.0);
  params.grad()[3] = std::nan("");
  EXPECT_FALSE(optimizer.step(1e-3).applied);
  EXPECT_TRUE(torch::equal(params.master(), before));
}

}  // namespace
}  // namespace terse::trainer
