// Effects of the options of the length penalty, of demonstrations and of the student.
#include "tests/options/option_effects.h"

namespace terse::options {
namespace {

using ::testing::Contains;
using ::testing::Gt;
using ::testing::IsEmpty;

// The policy's responses are as short as possible. So the controller stands at the last level after the first step, and
// demonstrations have this level.
const Settings kAdaptive = {"rl.penalty.kind=adaptive", "rl.student.updates=0", "rl.entropy_bonus=0",
                            "rl.group_size=16"};

nlohmann::json state(const Observed& run) {
  return run.saved(1).state.extra.at("progress").at("extra");
}

void expect_rewards(const Observed& run, double share_of_accuracy) {
  const std::vector<double> rewards = run.metric("reward"), accuracies = run.metric("accuracy");
  ASSERT_THAT(accuracies, Contains(Gt(0)));
  for (size_t i = 0; i < rewards.size(); ++i) EXPECT_NEAR(rewards[i], share_of_accuracy * accuracies[i], 1e-9);
}

void penalty_kind(const Option& option) {
  const Settings more = {"rl.penalty.limit=2", "rl.penalty.strength=0.5", "rl.student.updates=0", "rl.group_size=16"};
  expect_rewards(reinforce(option.set("none", more)), 1);
  expect_rewards(reinforce(option.set("truncation", more)), 0);  // an answer is three tokens
  EXPECT_LT(reinforce(option.set("group_relative", more)).metric("reward").at(0),
            reinforce(option.set("none", more)).metric("reward").at(0));
  EXPECT_THAT(reinforce(option.set("adaptive", more)).metric("compression/pressure"), Contains(Gt(0)));
  for (const char* kind : {"none", "truncation", "group_relative"})
    EXPECT_THAT(reinforce(option.set(kind, more)).metric("compression/pressure"), IsEmpty());
}

void penalty_limit(const Option& option) {
  const Settings truncation = {"rl.penalty.kind=truncation"};
  expect_rewards(reinforce(option.set("2", truncation)), 0);
  expect_rewards(reinforce(option.set("64", truncation)), 1);
}

void penalty_strength(const Option& option) {
  const Settings relative = {"rl.penalty.kind=group_relative"};
  const auto reward = [&](const char* strength) {
    return reinforce(option.set(strength, relative)).metric("reward").at(0);
  };
  expect_rewards(reinforce(option.set("0", relative)), 1);
  EXPECT_LT(reward("0.4"), reward("0"));
  EXPECT_NEAR((reward("0") - reward("0.8")) / (reward("0") - reward("0.4")), 2, 1e-6);
}

void demonstrations(const Option& option) {
  const Observed &none = reinforce(option.set("0", kAdaptive)), &some = reinforce(option.set("6", kAdaptive));
  EXPECT_THAT(none.metric("demonstration_loss"), IsEmpty());
  EXPECT_THAT(some.metric("demonstration_loss"), ::testing::ElementsAre(Gt(0), Gt(0), Gt(0)));
  EXPECT_EQ(state(none).at("replayed"), 0);
  EXPECT_EQ(state(some).at("replayed"), 6);
}

void demonstration_weight(const Option& option) {
  const auto run = [&](const char* weight) -> const Observed& {
    return reinforce(option.set(weight, kAdaptive + Settings{"rl.demonstrations=6"}));
  };
  EXPECT_EQ(run("100").metric("demonstration_loss").at(0), run("1000").metric("demonstration_loss").at(0));
  EXPECT_NEAR(run("1000").metric("grad_norm").at(0) / run("100").metric("grad_norm").at(0), 10, 0.5);
  EXPECT_THAT(run("0").metric("demonstration_loss"), IsEmpty());
}

// A run from a verbose policy, so that a shorter form is left for the student.
const Observed& with_student(const Settings& settings) {
  return reinforce(Settings{"rl.penalty.kind=adaptive"} + settings, {"task.forms={recheck: 1}", "sft.steps=150"});
}

int64_t traces_seen(const Observed& run) {
  return state(run).at("apprentice").at("practised").get<int64_t>();
}

void student_updates(const Option& option) {
  const Observed &none = with_student(option.set("0")), &three = with_student(option.set("3"));
  EXPECT_THAT(none.metric("student/loss"), IsEmpty());
  EXPECT_EQ(three.metric("student/loss").size(), 3u);
  EXPECT_EQ(three.saved(1).state.whole("apprentice.optimizer.updates").item<int64_t>(), 3);
  EXPECT_EQ(traces_seen(three), 3 * 4);
}

void student_traces(const Option& option) {
  EXPECT_EQ(traces_seen(with_student(option.set("4"))), 4);
  EXPECT_EQ(traces_seen(with_student(option.set("9"))), 9);
}

// The first update of AdamW moves every weight by about the rate. The copy starts from the policy's weights.
void student_lr(const Option& option) {
  for (const double rate : {0.004, 0.001}) {
    const Observed& run = with_student(option.set(fmt::format("{}", rate), {"rl.optimizer.weight_decay=0"}));
    const torch::Tensor copy = flat(Observed::tensors(run.saved(1).state, "apprentice/model.")),
                        policy = flat(Observed::tensors(run.saved(1).state, "model."));
    EXPECT_NEAR((copy - policy).abs().max().item<double>() / rate, 1, 0.01);
  }
}

}  // namespace

OptionEffects pressure_effects() {
  return {{"rl.penalty.kind", "rewards beside accuracy, and whether limits move", penalty_kind},
          {"rl.penalty.limit", "rewards of right answers that are longer", penalty_limit},
          {"rl.penalty.strength", "what length takes of rewards", penalty_strength},
          {"rl.demonstrations", "traces that an update also trains on", demonstrations},
          {"rl.demonstration_weight", "norm of the first gradient, not the demonstration loss", demonstration_weight},
          {"rl.student.updates", "updates of the copy", student_updates},
          {"rl.student.traces", "traces that the copy has seen", student_traces},
          {"rl.student.lr", "how far the first update moves the copy", student_lr}};
}

}  // namespace terse::options
