// Effects of the options of AdamW and its schedule, which three stages have. The checks use the state that is saved
// after the first update, and the recorded learning rates.
#include <cmath>

#include "tests/options/option_effects.h"

namespace terse::options {
namespace {

constexpr double kRate = 0.002;

// The stage of an option such as sft.optimizer.lr, with settings of other options of its optimizer.
class Stage {
 public:
  explicit Stage(const Option& option) : stage_(option.path().substr(0, option.path().find('.'))) {}
  const std::string& name() const { return stage_; }
  std::string sets(const std::string& option, const std::string& value) const {
    return stage_ + ".optimizer." + option + "=" + value;
  }
  // A constant learning rate without weight decay, so that an update depends on the gradient alone.
  Settings plain() const {
    return {sets("schedule", "constant"), sets("lr", fmt::format("{}", kRate)), sets("weight_decay", "0")};
  }
  const Observed& run(const Settings& settings) const { return run_of(stage_, settings); }
  // The initial weights: a learning rate of 0 leaves them unchanged.
  Weights initial() const { return run(Settings{sets("lr", "0")}).weights(1); }

 private:
  std::string stage_;
};

Weights moments(const Observed& run, const std::string& which) {
  return Observed::tensors(run.saved(1).state, "optimizer." + which + "/");
}

double gradient_norm(const Observed& run) {
  return run.metric("grad_norm").at(0);
}

void lr(const Option& option) {
  const Stage stage(option);
  const Settings plain = stage.plain();
  const torch::Tensor before = flat(stage.initial());
  const auto moved = [&](const std::string& rate) {
    const Observed& run = stage.run(option.set(rate, plain));
    EXPECT_EQ(run.metric("lr").at(0), std::stod(rate));
    return (flat(run.weights(1)) - before).abs().max().item<double>();
  };
  EXPECT_EQ(moved("0"), 0);
  // The first update of AdamW moves every weight by about the rate.
  EXPECT_NEAR(moved("0.002"), 0.002, 1e-5);
  EXPECT_NEAR(moved("0.0005"), 0.0005, 1e-5);
}

// After one update, a moment is (1 - beta) times the gradient or its square.
void expect_share_of_new(const Option& option, const std::string& moment) {
  const Stage stage(option);
  const torch::Tensor half = flat(moments(stage.run(option.set("0.5", stage.plain())), moment)),
                      tenth = flat(moments(stage.run(option.set("0.9", stage.plain())), moment));
  EXPECT_GT(half.norm().item<double>(), 0);
  EXPECT_TRUE(torch::allclose(half, 5 * tenth, 1e-4, 1e-30));
}

void beta1(const Option& option) {
  expect_share_of_new(option, "m");
}

void beta2(const Option& option) {
  expect_share_of_new(option, "v");
}

// An eps far above the gradients makes the first update nearly proportional to them.
void eps(const Option& option) {
  const Stage stage(option);
  const Observed& run = stage.run(option.set("1", stage.plain()));
  const torch::Tensor moved = flat(run.weights(1)) - flat(stage.initial());
  const torch::Tensor gradient = flat(moments(run, "m")) / (1 - 0.9);
  EXPECT_TRUE(torch::allclose(moved, -kRate * gradient / (gradient.abs() + 1), 1e-2, 1e-6));
}

// Matrices shrink by rate x decay; the embedding, norms and biases do not.
void weight_decay(const Option& option) {
  const Stage stage(option);
  const Weights initial = stage.initial(), without = stage.run(stage.plain()).weights(1),
                with = stage.run(option.set("5", stage.plain())).weights(1);
  for (const auto& [name, weight] : with) {
    const bool matrix = name.find("_proj.weight") != std::string::npos || name == ".weight";
    const torch::Tensor shrunk = weight - without.at(name);
    const torch::Tensor expected = matrix ? -kRate * 5 * initial.at(name) : torch::zeros_like(shrunk);
    EXPECT_TRUE(torch::allclose(shrunk, expected, 1e-3, matrix ? 1e-6 : 0)) << name;
  }
}

// The recorded norm is the one before clipping. The update uses the clipped gradient.
void clip_grad_norm(const Option& option) {
  const Stage stage(option);
  const Observed& free = stage.run(option.set("0", stage.plain()));
  const double whole = gradient_norm(free), limit = whole / 8;
  const Observed& clipped = stage.run(option.set(fmt::format("{:.9f}", limit), stage.plain()));
  EXPECT_EQ(gradient_norm(clipped), whole);
  EXPECT_NEAR(norm(moments(free, "m")) / (1 - 0.9) / whole, 1, 1e-4);
  EXPECT_NEAR(norm(moments(clipped, "m")) / (1 - 0.9) / limit, 1, 1e-4);
  const Observed& above = stage.run(option.set(fmt::format("{:.9f}", 8 * whole), stage.plain()));
  EXPECT_EQ(norm(moments(above, "m")), norm(moments(free, "m")));
}

// The recorded rates of a run of `steps` steps, as shares of the peak rate.
std::vector<double> rates(const Stage& stage, const Settings& settings, int64_t steps) {
  const Settings all = Settings{fmt::format("{}.steps={}", stage.name(), steps),
                                stage.sets("lr", fmt::format("{}", kRate)), stage.sets("min_lr_ratio", "0.2")} +
                       settings;
  std::vector<double> shares = stage.run(all).metric("lr");
  for (double& share : shares) share /= kRate;
  return shares;
}

void expect_rates(const std::vector<double>& shares, const std::vector<double>& expected) {
  ASSERT_EQ(shares.size(), expected.size());
  for (size_t i = 0; i < shares.size(); ++i) EXPECT_NEAR(shares[i], expected[i], 1e-9) << "step " << i + 1;
}

void schedule(const Option& option) {
  const Stage stage(option);
  expect_rates(rates(stage, option.set("constant"), 4), {1, 1, 1, 1});
  expect_rates(rates(stage, option.set("linear"), 4), {1, 0.8, 0.6, 0.4});
  const double high = 0.2 + 0.4 * (1 + std::sqrt(0.5)), low = 0.2 + 0.4 * (1 - std::sqrt(0.5));
  expect_rates(rates(stage, option.set("cosine"), 4), {1, high, 0.6, low});
  expect_rates(rates(stage, option.set("wsd", {stage.sets("decay_fraction", "0.5")}), 4), {1, 1, 1, 0.6});
}

void warmup_steps(const Option& option) {
  const Stage stage(option);
  expect_rates(rates(stage, option.set("4", {stage.sets("schedule", "constant")}), 5), {0.25, 0.5, 0.75, 1, 1});
  expect_rates(rates(stage, option.set("2", {stage.sets("schedule", "linear")}), 4), {0.5, 1, 1, 0.6});
}

void min_lr_ratio(const Option& option) {
  const Stage stage(option);
  expect_rates(rates(stage, option.set("0.6", {stage.sets("schedule", "linear")}), 4), {1, 0.9, 0.8, 0.7});
  expect_rates(rates(stage, option.set("0", {stage.sets("schedule", "linear")}), 4), {1, 0.75, 0.5, 0.25});
}

void decay_fraction(const Option& option) {
  const Stage stage(option);
  expect_rates(rates(stage, option.set("0.25", {stage.sets("schedule", "wsd")}), 4), {1, 1, 1, 1});
  expect_rates(rates(stage, option.set("1", {stage.sets("schedule", "wsd")}), 4), {1, 0.8, 0.6, 0.4});
}

// Makes lm_head so large that the loss is finite, but its gradient is not. In reinforcement learning the sampled token
// then has probability 1, so only demonstrations give a gradient.
void break_gradient(checkpoints::StateDict& state) {
  state.tensors.at("lm_head.weight").data.mul_(1e25);
}

// Number of steps that a run from such weights records before it fails.
size_t steps_before_giving_up(const Stage& stage, const Settings& settings) {
  const Settings all = Settings{"model.tie_embeddings=false", stage.name() + ".steps=9", "rl.penalty.kind=adaptive",
                                "rl.demonstrations=4",        "rl.student.updates=0",    "rl.group_size=16"} +
                       settings;
  const Observed& sound =
      stage.name() == "rl" ? reinforce(all, {"model.tie_embeddings=false"}) : run_of(stage.name(), all);
  Observed broken;
  broken.config = sound.config;
  checkpoints::Store::Loaded start = sound.saved(1);
  break_gradient(start.state);
  checkpoints::Store(broken.dir() / "checkpoints", 2, false).save(start.info, start.state);
  std::ofstream(broken.dir() / "metrics.jsonl").close();
  try {
    execute(broken);
    ADD_FAILURE() << "it trained to its end";
  } catch (const std::exception& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("not finite"));
  }
  return broken.training().size();
}

void max_nonfinite_steps(const Option& option) {
  const Stage stage(option);
  EXPECT_EQ(steps_before_giving_up(stage, option.set("0")), 0u);
  EXPECT_EQ(steps_before_giving_up(stage, option.set("2")), 2u);
}

}  // namespace

OptionEffects optimizer_effects(const std::string& stage) {
  OptionEffects effects = {
      {"lr", "how far the first update moves the weights, and the recorded rate", lr},
      {"beta1", "share of the first gradient in its mean", beta1},
      {"beta2", "share of the first squared gradient in its mean", beta2},
      {"eps", "first update of small gradients", eps},
      {"weight_decay", "matrices after one update, and nothing else", weight_decay},
      {"clip_grad_norm", "norm of the gradient that is used, not of the recorded one", clip_grad_norm},
      {"schedule", "recorded rates", schedule},
      {"warmup_steps", "recorded rates of the first steps", warmup_steps},
      {"min_lr_ratio", "where the recorded rates end", min_lr_ratio},
      {"decay_fraction", "when the recorded rates begin to fall", decay_fraction},
      {"max_nonfinite_steps", "when a run whose gradient is not finite gives up", max_nonfinite_steps}};
  for (OptionEffect& effect : effects) effect.path = stage + ".optimizer." + effect.path;
  return effects;
}

}  // namespace terse::options
