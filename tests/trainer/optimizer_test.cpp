// Compares several AdamW updates of a whole model, and every learning-rate schedule, with the formulas in double
// precision.
#include "trainer/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/tiny_model.h"

namespace terse::trainer {
namespace {

// Loshchilov and Hutter 2019 (arXiv 1711.05101), algorithm 2, after clipping to a global norm (Pascanu et al. 2013,
// arXiv 1211.5063).
class ReferenceAdamW {
 public:
  ReferenceAdamW(const FlatParams& params, const configs::Optimizer& config) : config_(config) {
    for (const ParamInfo& info : params.layout().infos) {
      // Matrices decay; norms, biases and the embedding do not.
      const bool decays = info.name.ends_with("_proj.weight") || info.name == "lm_head.weight";
      decay_.insert(decay_.end(), static_cast<size_t>(info.numel()), decays ? config.weight_decay : 0.0);
    }
    const float* weight = params.master().data_ptr<float>();
    weights.assign(weight, weight + params.size());
    m_.resize(weights.size());
    v_.resize(weights.size());
  }

  double step(const torch::Tensor& gradient, double lr) {
    const float* g = gradient.data_ptr<float>();
    double squares = 0;
    for (size_t i = 0; i < weights.size(); ++i) squares += static_cast<double>(g[i]) * g[i];
    const double norm = std::sqrt(squares);
    const double scale = config_.clip_grad_norm > 0 ? std::min(1.0, config_.clip_grad_norm / norm) : 1.0;
    ++steps_;
    for (size_t i = 0; i < weights.size(); ++i) {
      const double clipped = scale * g[i];
      m_[i] = config_.beta1 * m_[i] + (1 - config_.beta1) * clipped;
      v_[i] = config_.beta2 * v_[i] + (1 - config_.beta2) * clipped * clipped;
      const double m = m_[i] / (1 - std::pow(config_.beta1, steps_)), v = v_[i] / (1 - std::pow(config_.beta2, steps_));
      weights[i] -= lr * (m / (std::sqrt(v) + config_.eps) + decay_[i] * weights[i]);
    }
    return norm;
  }

  std::vector<double> weights;

 private:
  configs::Optimizer config_;
  std::vector<double> decay_, m_, v_;
  int steps_ = 0;
};

struct Case {
  const char* name;
  double weight_decay, clip_grad_norm, beta1, beta2, eps;
};

const Case kCases[] = {
    {"defaults", 0.1, 1.0, 0.9, 0.95, 1e-8},
    {"strong_decay", 3, 1.0, 0.9, 0.95, 1e-8},
    {"no_decay_and_no_clipping", 0, 0, 0.9, 0.95, 1e-8},
    {"tight_clipping", 0.1, 0.01, 0.9, 0.95, 1e-8},
    {"other_moments", 0.1, 1.0, 0.5, 0.999, 1e-3},
};

class AdamWReference : public ::testing::TestWithParam<Case> {};

TEST_P(AdamWReference, WeightsFollowTheFormulaUpdateByUpdate) {
  FlatParams params(support::tiny_spec({.qk_norm = true, .qkv_bias = true, .tied = false}), torch::kCPU, 5);
  const Case& c = GetParam();
  configs::Optimizer config;
  config.weight_decay = c.weight_decay;
  config.clip_grad_norm = c.clip_grad_norm;
  config.beta1 = c.beta1;
  config.beta2 = c.beta2;
  config.eps = c.eps;
  AdamW optimizer(params, config);
  ReferenceAdamW reference(params, config);
  torch::manual_seed(7);
  // The gradient norms are below and above the bound of 1. The moments depend on their order.
  int64_t clipped = 0;
  for (const double scale : {1e-4, 3e-2, 1e-3, 1e-4, 2e-2, 1e-3}) {
    const torch::Tensor gradient = scale * torch::randn({params.size()});
    params.zero_grad();
    params.grad().copy_(gradient);
    const double lr = 0.01 * (1 + scale);
    const double norm = reference.step(gradient, lr);
    EXPECT_NEAR(optimizer.step(lr).grad_norm, norm, 1e-6 * norm);
    clipped += c.clip_grad_norm > 0 && norm > c.clip_grad_norm ? 1 : 0;
    const torch::Tensor difference =
        params.master().to(torch::kFloat64) - torch::tensor(reference.weights, torch::kFloat64);
    // An update moves a weight by about lr, and fp32 rounds it to about 1e-8.
    ASSERT_LT(difference.abs().max().item<double>(), 1e-6);
  }
  EXPECT_EQ(clipped, c.clip_grad_norm == 0 ? 0 : c.clip_grad_norm < 1 ? 6 : 2);
}

TEST_P(AdamWReference, ResetForgetsMomentsAndTheirCorrection) {
  FlatParams params(support::tiny_spec(), torch::kCPU, 5);
  configs::Optimizer config;
  config.beta1 = GetParam().beta1;
  AdamW optimizer(params, config);
  torch::manual_seed(8);
  const auto update = [&](AdamW& each) {
    params.grad().copy_(torch::randn({params.size()}));
    each.step(1e-2);
  };
  update(optimizer);
  update(optimizer);
  optimizer.reset();
  ReferenceAdamW afresh(params, config);
  const torch::Tensor gradient = torch::randn({params.size()});
  params.grad().copy_(gradient);
  optimizer.step(1e-2);
  afresh.step(gradient, 1e-2);
  EXPECT_LT(
      (params.master().to(torch::kFloat64) - torch::tensor(afresh.weights, torch::kFloat64)).abs().max().item<double>(),
      1e-6);
}

INSTANTIATE_TEST_SUITE_P(Configs, AdamWReference, ::testing::ValuesIn(kCases),
                         [](const auto& instance) { return std::string(instance.param.name); });

// Values computed by hand for 24 steps, of which 4 are warm-up, and a lowest rate of 0.2. The schedule after the
// warm-up takes 20 steps.
TEST(LearningRate, EveryScheduleAtItsBeginningMiddleAndEnd) {
  const double root = std::sqrt(0.5);  // cos(pi / 4)
  const std::map<std::string, std::vector<std::pair<int64_t, double>>> expected = {
      {"constant", {{4, 1}, {14, 1}, {23, 1}}},
      {"linear", {{4, 1}, {9, 0.8}, {14, 0.6}, {19, 0.4}, {23, 0.24}}},
      {"cosine", {{4, 1}, {9, 0.2 + 0.4 * (1 + root)}, {14, 0.6}, {19, 0.2 + 0.4 * (1 - root)}, {23, 0.204924663761}}},
      // The rate falls over the last quarter of the 20 steps: from step 19 on, by 0.16 a step.
      {"wsd", {{4, 1}, {14, 1}, {18, 1}, {19, 1}, {20, 0.84}, {21, 0.68}, {23, 0.36}}},
  };
  for (const auto& [schedule, points] : expected) {
    configs::Optimizer config;
    config.lr = 3e-3;
    config.warmup_steps = 4;
    config.min_lr_ratio = 0.2;
    config.decay_fraction = 0.25;
    config.schedule = schedule;
    for (int64_t step = 0; step < 4; ++step)
      EXPECT_DOUBLE_EQ(learning_rate(config, step, 24), 3e-3 * static_cast<double>(step + 1) / 4) << schedule;
    for (const auto& [step, share] : points)
      EXPECT_NEAR(learning_rate(config, step, 24), 3e-3 * share, 1e-14) << schedule << " step " << step;
  }
}

TEST(LearningRate, WithoutWarmUpAndDownToZero) {
  configs::Optimizer config;
  config.lr = 1;
  config.min_lr_ratio = 0;
  config.decay_fraction = 1;
  for (const char* schedule : {"linear", "wsd"}) {  // a wsd that falls all the time is linear
    config.schedule = schedule;
    EXPECT_NEAR(learning_rate(config, 0, 10), 1, 1e-14) << schedule;
    EXPECT_NEAR(learning_rate(config, 3, 10), 0.7, 1e-14) << schedule;
    EXPECT_NEAR(learning_rate(config, 9, 10), 0.1, 1e-14) << schedule;
  }
  config.schedule = "cosine";
  EXPECT_NEAR(learning_rate(config, 5, 10), 0.5, 1e-14);
  EXPECT_NEAR(learning_rate(config, 9, 10), 0.5 * (1 + std::cos(0.9 * M_PI)), 1e-14);
}

}  // namespace
}  // namespace terse::trainer
