// Effects of the options of reinforcement learning: how much is sampled, and how it becomes an update.
#include <cmath>
#include <numeric>

#include "rl/tasks/tokenized_task.h"
#include "tests/options/option_effects.h"

namespace terse::options {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

nlohmann::json state(const Observed& run, int64_t step) {
  return run.saved(step).state.extra.at("progress").at("extra");
}

int64_t updates(const Observed& run, int64_t step, const std::string& optimizer) {
  return run.saved(step).state.whole(optimizer + ".updates").item<int64_t>();
}

void steps(const Option& option) {
  for (const int64_t steps : {2, 4}) {
    const Observed& run = reinforce(option.set(std::to_string(steps)));
    EXPECT_EQ(run.result().at("steps"), steps);
    EXPECT_EQ(run.training().back().at("step"), steps);
  }
}

void prompts(const Option& option) {
  EXPECT_THAT(reinforce(option.set("3")).metric("rollout/groups"), Each(3));
  EXPECT_THAT(reinforce(option.set("5")).metric("rollout/groups"), Each(5));
}

void group_size(const Option& option) {
  const Settings one = {"rl.steps=1"};
  for (const int64_t size : {2, 6}) {
    const Observed& run = reinforce(option.set(std::to_string(size), one));
    const double rollouts = run.result().at("tokens").get<double>() / run.metric("completions/mean_length").at(0);
    EXPECT_NEAR(rollouts, 4 * static_cast<double>(size), 1e-6);
  }
}

// The results must be the same bits, from less memory.
void expect_smaller_passes(const Option& option, const std::string& limit) {
  const Settings big = {"rl.prompts=16", "rl.demonstrations=16", "rl.penalty.kind=adaptive", "rl.student.updates=0",
                        "engine.max_batch=16"};
  const Observed &whole = reinforce(big), &parts = reinforce(option.set(limit, big));
  EXPECT_TRUE(same_training(whole, parts));
  EXPECT_LT(parts.peak_bytes, 0.8 * whole.peak_bytes);
}

void micro_batch(const Option& option) {
  expect_smaller_passes(option, "4");
}

void micro_tokens(const Option& option) {
  expect_smaller_passes(option, "100");
}

// The gradients differ only by rounding.
void prompt_sharing(const Option& option) {
  const Observed &shared = reinforce(option.set("8")), &alone = reinforce(option.set("1"));
  EXPECT_FALSE(same(shared.weights(), alone.weights()));
  EXPECT_NEAR(shared.metric("grad_norm").at(0), alone.metric("grad_norm").at(0),
              1e-4 * alone.metric("grad_norm").at(0));
}

void updates_per_batch(const Option& option) {
  for (const int64_t count : {1, 2, 4})
    EXPECT_EQ(updates(reinforce(option.set(std::to_string(count))), 2, "optimizer"), 2 * count);
  EXPECT_FALSE(same(reinforce(option.set("2")).weights(), reinforce(option.set("1")).weights()));
}

// Groups of two are often uniform: all right or all wrong.
const Settings kSmallGroups = {"rl.group_size=2"};

void resample_uniform(const Option& option) {
  const Settings twice = kSmallGroups + Settings{"rl.max_resample_rounds=2"};
  EXPECT_THAT(reinforce(option.set("false", twice)).metric("rollout/groups"), Each(4));
  EXPECT_THAT(reinforce(option.set("true", twice)).metric("rollout/groups"), ::testing::Contains(::testing::Gt(4)));
}

void max_resample_rounds(const Option& option) {
  const auto groups = [&](const char* rounds) {
    return sum(reinforce(option.set(rounds, kSmallGroups)).metric("rollout/groups"));
  };
  EXPECT_EQ(groups("0"), 3 * 4);
  EXPECT_GT(groups("1"), groups("0"));
  EXPECT_LE(groups("1"), 3 * 8);
  EXPECT_GT(groups("9"), groups("1"));
}

void eval_every(const Option& option) {
  const Settings five = {"rl.steps=5"};
  const Observed &often = reinforce(option.set("2", five)), &never = reinforce(option.set("0", five));
  EXPECT_EQ(often.steps_with("eval/accuracy"), (std::vector<int64_t>{2, 4}));
  EXPECT_THAT(never.steps_with("eval/accuracy"), IsEmpty());
  EXPECT_TRUE(same_training(often, never));
}

void trace_every(const Option& option) {
  const auto traced = [&](const char* every) {
    std::set<int64_t> found;
    for (const nlohmann::json& line : reinforce(option.set(every, {"rl.steps=5"})).traces("train"))
      found.insert(line.at("step").get<int64_t>());
    return found;
  };
  EXPECT_EQ(traced("2"), (std::set<int64_t>{2, 4}));
  EXPECT_EQ(traced("3"), std::set<int64_t>{3});
  EXPECT_THAT(traced("0"), IsEmpty());
}

// Leaves the policy loss alone, so that the gradient is proportional to the advantages.
const Settings kPolicyAlone = {"rl.entropy_bonus=0", "rl.optimizer.lr=0.01"};

double first_gradient(const Settings& settings) {
  return reinforce(settings).metric("grad_norm").at(0);
}

// With a single group, both norms divide the gradient by the deviation of that group.
void advantage_norm(const Option& option) {
  const Settings one = kPolicyAlone + Settings{"rl.prompts=1", "rl.group_size=32"};
  const double deviation = reinforce(option.set("none", one)).metric("reward_std").at(0);
  ASSERT_GT(deviation, 0);
  const double none = first_gradient(option.set("none", one));
  EXPECT_NEAR(none / first_gradient(option.set("group", one)), deviation, 1e-4);
  EXPECT_NEAR(none / first_gradient(option.set("batch", one)), deviation, 1e-4);
  const double of_batch = first_gradient(option.set("batch", kPolicyAlone)),
               of_groups = first_gradient(option.set("group", kPolicyAlone)),
               of_none = first_gradient(option.set("none", kPolicyAlone));
  EXPECT_GT(std::abs(of_batch / of_groups - 1), 1e-3);
  EXPECT_GT(of_batch, of_none);
  EXPECT_GT(of_groups, of_none);
}

// At the first update the losses differ in their denominators only, at later ones also in what they clip.
void loss(const Option& option) {
  const Settings warm = kPolicyAlone + Settings{"engine.temperature=1.5"};  // so that lengths differ
  const auto first = [&](const char* name) { return first_gradient(option.set(name, warm)); };
  const auto task = rl::open_task(load({}).task, 1);
  EXPECT_NEAR(first("reinforce") / first("dr_grpo"), static_cast<double>(*task->max_response_tokens()), 1e-3);
  EXPECT_NEAR(first("dapo") / first("cispo"), 1, 1e-4);
  EXPECT_GT(std::abs(first("dapo") / first("grpo") - 1), 1e-3);
  const Settings later = warm + Settings{"rl.updates_per_batch=2", "rl.clip_low=0.01", "rl.clip_high=0.01"};
  const std::vector<std::string> names = {"grpo", "dapo", "dr_grpo", "gspo", "cispo"};
  for (size_t a = 0; a < names.size(); ++a)
    for (size_t b = 0; b < a; ++b)
      EXPECT_FALSE(
          same(reinforce(option.set(names[a], later)).weights(), reinforce(option.set(names[b], later)).weights()))
          << names[a] << " and " << names[b];
}

// Nothing is clipped at the first update of a batch, where the ratio is 1.
void clip(const Option& option) {
  const Settings open = kPolicyAlone + Settings{"rl.clip_low=1", "rl.clip_high=100"};
  EXPECT_TRUE(same_training(reinforce(open), reinforce(option.set("0", open))));
  const Settings twice = open + Settings{"rl.updates_per_batch=2"};
  EXPECT_FALSE(same(reinforce(twice).weights(), reinforce(option.set("0", twice)).weights()));
}

// Settings under which batches can be ordered ahead, so that tokens become stale.
const Settings kAhead = {"parallel.layout=split", "rl.steps=5", "rl.optimizer.lr=0.01"};

void max_staleness(const Option& option) {
  const Observed &fresh = reinforce(option.set("0", kAhead)), &ahead = reinforce(option.set("2", kAhead));
  EXPECT_THAT(fresh.metric("staleness/max"), Each(0));
  EXPECT_THAT(ahead.metric("staleness/max"), ::testing::Contains(2));
  EXPECT_THAT(ahead.metric("staleness/max"), Each(::testing::Le(2)));
  EXPECT_EQ(state(fresh, 2).at("problems").at("outstanding").size(), 0u);
  EXPECT_EQ(state(ahead, 2).at("problems").at("outstanding").size(), 2u * 4u);
}

void importance_cap(const Option& option) {
  const Settings ahead = kAhead + Settings{"rl.max_staleness=2"};
  const Observed &free = reinforce(option.set("1000", ahead)), &capped = reinforce(option.set("0.5", ahead));
  const std::vector<double> weights = free.metric("importance/mean"), cut = capped.metric("importance/mean");
  const auto stale = std::find_if(weights.begin(), weights.end(), [](double w) { return w > 0; }) - weights.begin();
  ASSERT_LT(stale, std::ssize(weights)) << "no stale token trained";
  EXPECT_GT(weights[static_cast<size_t>(stale)], 0.5);
  EXPECT_LE(cut[static_cast<size_t>(stale)], 0.5);
  EXPECT_GT(capped.metric("importance/capped")[static_cast<size_t>(stale)], 0.5);
  EXPECT_FALSE(same(free.weights(), capped.weights()));
}

// The bonus keeps the entropy of the sampled distributions high.
void entropy_bonus(const Option& option) {
  const Settings longer = {"rl.steps=8", "rl.optimizer.lr=0.01", "checkpoint.every=0"};
  const Observed &none = reinforce(option.set("0", longer)), &much = reinforce(option.set("1", longer));
  EXPECT_EQ(none.metric("entropy").at(0), much.metric("entropy").at(0));
  EXPECT_GT(much.metric("entropy").back(), 1.1 * none.metric("entropy").back());
  EXPECT_THAT(none.metric("entropy_weight"), Each(0));
  EXPECT_THAT(much.metric("entropy_weight"), Each(1));
}

}  // namespace

OptionEffects rl_effects() {
  return {{"rl.steps", "number of steps", steps},
          {"rl.prompts", "groups of a step", prompts},
          {"rl.group_size", "rollouts of a step", group_size},
          {"rl.micro_batch", "peak memory, and not one bit of the results", micro_batch},
          {"rl.micro_tokens", "peak memory, and not one bit of the results", micro_tokens},
          {"rl.prompt_sharing", "the rounding of gradients", prompt_sharing},
          {"rl.updates_per_batch", "updates that the optimizer counts", updates_per_batch},
          {"rl.resample_uniform", "whether more groups are sampled than train", resample_uniform},
          {"rl.max_resample_rounds", "how many more groups are sampled", max_resample_rounds},
          {"rl.eval_every", "which records have an evaluation", eval_every},
          {"rl.trace_every", "steps whose rollouts are traced", trace_every}};
}

OptionEffects policy_effects() {
  return {{"rl.advantage_norm", "norm of the first gradient", advantage_norm},
          {"rl.loss", "norm of the first gradient, and weights after the second update of a batch", loss},
          {"rl.clip_low", "weights after the second update of a batch, not after the first", clip},
          {"rl.clip_high", "weights after the second update of a batch, not after the first", clip},
          {"rl.max_staleness", "problems assigned ahead, and the age of tokens", max_staleness},
          {"rl.importance_cap", "weights of stale tokens", importance_cap},
          {"rl.entropy_bonus", "entropy after some steps", entropy_bonus}};
}

}  // namespace terse::options
