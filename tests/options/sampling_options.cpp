// Effects of the options of evaluation and of generation.
#include <cmath>

#include "rl/tasks/tokenized_task.h"
#include "tests/options/option_effects.h"

namespace terse::options {
namespace {

using ::testing::Each;

// The problems are those held out for evaluation, not those of training.
void problems_per_difficulty(const Option& option) {
  EXPECT_EQ(finetune(option.set("5")).eval().at("n"), 5 * 2);
  EXPECT_EQ(finetune(option.set("8")).eval().at("n"), 8 * 2);
  const Observed& run = finetune(option.set("8"));
  const auto task = rl::open_task(run.config.task, run.config.run.seed);
  const std::vector<nlohmann::json> traces = run.traces("eval");
  EXPECT_FALSE(traces.empty());
  for (const nlohmann::json& line : traces) {
    const int64_t index = line.at("problem"), difficulty = line.at("difficulty");
    EXPECT_EQ(line.at("prompt"), task->tokenizer().decode(task->problem(rl::Split::kEval, index, difficulty).prompt));
  }
}

void samples(const Option& option) {
  EXPECT_EQ(finetune(option.set("3")).eval().at("n"), 3 * 3);
  EXPECT_EQ(finetune(option.set("4")).eval().at("pass_at_k").size(), 3u) << "1, 2 and 4";
  EXPECT_EQ(finetune(option.set("1")).eval().at("pass_at_k").size(), 1u);
}

// An evaluation during training takes one sample of each of this many problems. At a learning rate of 0, a final
// evaluation of as many gives the same result.
void quick_problems(const Option& option) {
  const Settings still = {"sft.optimizer.lr=0", "sft.eval_every=1", "eval.samples=1"};
  for (const char* problems : {"5", "30"}) {
    const Observed& during = finetune(option.set(problems, still));
    const Observed& after = finetune(still + Settings{std::string("eval.problems_per_difficulty=") + problems});
    EXPECT_EQ(during.metric("eval/mean_tokens").at(0), after.eval().at("mean_tokens"));
  }
  EXPECT_NE(finetune(option.set("5", still)).metric("eval/mean_tokens"),
            finetune(option.set("30", still)).metric("eval/mean_tokens"));
}

// At a temperature near 0, all samples of a problem are equal, so more of them solve no more. Training must not change.
void eval_temperature(const Option& option) {
  const Settings many = base::kPolicy + Settings{"eval.problems_per_difficulty=40", "eval.samples=4"};
  const Observed &cold = finetune(option.set("0.000001", many)), &warm = finetune(option.set("1", many));
  const auto pass = [](const Observed& run, const char* k) { return run.eval().at("pass_at_k").at(k).get<double>(); };
  EXPECT_NEAR(pass(cold, "4"), pass(cold, "1"), 1e-9);
  EXPECT_GT(pass(warm, "4"), pass(warm, "1") + 0.1);
  EXPECT_TRUE(same_training(cold, warm));
}

// Mean entropy in nats of the distributions that the first step sampled from, after temperature and cuts.
double first_entropy(const Settings& settings) {
  return reinforce(settings).metric("entropy").at(0);
}

void engine_temperature(const Option& option) {
  EXPECT_LT(first_entropy(option.set("0.00001")), 0.1 * first_entropy(option.set("1")));
  EXPECT_NEAR(first_entropy(option.set("100")), std::log(16.0), 0.05) << "all tokens are alike";
}

// Makes all tokens almost equally likely, so that the cuts alone determine the entropy.
const Settings kHot = {"engine.temperature=100"};

void top_k(const Option& option) {
  EXPECT_NEAR(first_entropy(option.set("2", kHot)), std::log(2.0), 0.01);
  EXPECT_NEAR(first_entropy(option.set("5", kHot)), std::log(5.0), 0.02);
  EXPECT_EQ(first_entropy(option.set("1", kHot)), 0);
}

void top_p(const Option& option) {
  // Four of sixteen tokens hold a mass of 0.24, or three that are slightly likelier.
  const double quarter = first_entropy(option.set("0.24", kHot)), half = first_entropy(option.set("0.49", kHot));
  EXPECT_TRUE(quarter > std::log(2.9) && quarter < std::log(4.1)) << quarter;
  EXPECT_TRUE(half > std::log(5.9) && half < std::log(8.1)) << half;
  EXPECT_EQ(first_entropy(option.set("0.001", kHot)), 0);
}

// At a temperature of 1, a min_p of 0.99 keeps only tokens that are nearly as likely as the likeliest.
void min_p(const Option& option) {
  EXPECT_LT(first_entropy(option.set("0.99")), 0.2 * first_entropy(option.set("0")));
  EXPECT_NEAR(first_entropy(option.set("0.5", kHot)), std::log(16.0), 0.05) << "none is half as likely as another";
}

void max_new_tokens(const Option& option) {
  const Observed& run = reinforce(option.set("2"));
  EXPECT_THAT(run.metric("completions/mean_length"), Each(::testing::Le(2)));
  EXPECT_THAT(run.metric("completions/clipped_ratio"), Each(::testing::Gt(0.8)));
  EXPECT_THAT(reinforce().metric("completions/mean_length"), Each(::testing::Gt(2)));
}

// The results must be the same bits, from less memory: the KV cache holds fewer sequences.
void max_batch(const Option& option) {
  const Observed &many = reinforce(option.set("64")), &few = reinforce(option.set("2"));
  EXPECT_TRUE(same_training(many, few));
  EXPECT_EQ(support::without_time(many.eval()), support::without_time(few.eval()));
  EXPECT_LT(few.peak_bytes + 50 * 64 * 16 * 2 * 4, many.peak_bytes);
}

// The same from a cache in which two of the longest sequences have room.
void kv_cache_gib(const Option& option) {
  const Settings batch = {"engine.max_batch=64"};
  const Observed &roomy = reinforce(batch + option.set("1")), &tight = reinforce(batch + option.set("1.6e-5"));
  EXPECT_TRUE(same_training(roomy, tight));
  EXPECT_EQ(support::without_time(roomy.eval()), support::without_time(tight.eval()));
  EXPECT_LT(tight.peak_bytes + 50 * 64 * 16 * 2 * 4, roomy.peak_bytes);
}

// Forward passes that generated the rollouts.
double passes(const Observed& run) {
  double sum = 0;
  for (const nlohmann::json& record : support::json_lines(run.dir() / "metrics.jsonl"))
    sum += record.value("engine/passes", 0.0);
  return sum;
}

// More passes, and the same bits.
void chunked_prefill_size(const Option& option) {
  const Observed &whole = reinforce(option.set("4096")), &parts = reinforce(option.set("3"));
  EXPECT_TRUE(same_training(whole, parts));
  EXPECT_EQ(support::without_time(whole.eval()), support::without_time(parts.eval()));
  EXPECT_LT(passes(whole), passes(parts));
}

// Fewer passes, and the same bits.
void speculative_tokens(const Option& option) {
  const Settings few = {"engine.max_batch=2", "rl.steps=4"};
  const Observed &none = reinforce(option.set("0", few)), &some = reinforce(option.set("3", few));
  EXPECT_TRUE(same_training(none, some));
  EXPECT_EQ(support::without_time(none.eval()), support::without_time(some.eval()));
  EXPECT_GT(passes(none), passes(some));
}

}  // namespace

OptionEffects eval_effects() {
  return {{"eval.problems_per_difficulty", "number of answers, all to problems held out", problems_per_difficulty},
          {"eval.samples", "number of answers, and of pass@k", samples},
          {"eval.quick_problems_per_difficulty", "figures of evaluations during training", quick_problems},
          {"eval.temperature", "pass@k beside pass@1, and nothing of training", eval_temperature}};
}

OptionEffects engine_effects() {
  return {{"engine.max_batch", "peak memory, and not one bit of the results", max_batch},
          {"engine.kv_cache_gib", "peak memory, and not one bit of the results", kv_cache_gib},
          {"engine.chunked_prefill_size", "forward passes, and not one bit of the results", chunked_prefill_size},
          {"engine.speculative_tokens", "forward passes, and not one bit of the results", speculative_tokens},
          {"engine.max_new_tokens", "length of rollouts", max_new_tokens},
          {"engine.temperature", "entropy of sampled distributions", engine_temperature},
          {"engine.top_k", "entropy of sampled distributions", top_k},
          {"engine.top_p", "entropy of sampled distributions", top_p},
          {"engine.min_p", "entropy of sampled distributions", min_p}};
}

}  // namespace terse::options
