// Compares a segment that is run again in the backward pass with the same segment whose activations are kept.
#include "trainer/model/recompute.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "trainer/model/transformer.h"

namespace terse::trainer {
namespace {

using torch::Tensor;

std::vector<Tensor> with_penalty(const Tensor& x) {
  const Tensor y = x.tanh() * 3;
  return {y, y.square().sum()};
}

TEST(Recompute, GivesAllOutputsAndTheirGradients) {
  torch::manual_seed(1);
  const Tensor kept = torch::randn({4, 3}).requires_grad_(true), again = kept.detach().clone().requires_grad_(true);
  const std::vector<Tensor> a = with_penalty(kept), b = recompute(with_penalty, again);
  ASSERT_EQ(b.size(), 2u);
  EXPECT_TRUE(torch::equal(a[0], b[0]));
  EXPECT_TRUE(torch::equal(a[1], b[1]));
  with_auxiliary(a[0].sum(), a[1], 0.5).backward();
  with_auxiliary(b[0].sum(), b[1], 0.5).backward();
  EXPECT_TRUE(torch::equal(kept.grad(), again.grad()));
  // d/dx (3 tanh x + 0.5 * 9 tanh^2 x) = (3 + 9 tanh x) (1 - tanh^2 x)
  const Tensor t = kept.detach().tanh();
  EXPECT_TRUE(torch::allclose(kept.grad(), (3 + 9 * t) * (1 - t * t), 1e-5, 1e-6));
}

TEST(Auxiliary, LeavesALossWithoutOneAlone) {
  const Tensor loss = torch::tensor(2.0);
  EXPECT_TRUE(with_auxiliary(loss, {}, 7).is_same(loss));
  EXPECT_EQ(with_auxiliary(loss, torch::tensor(3.0), 0.5).item<double>(), 3.5);
}

}  // namespace
}  // namespace terse::trainer
