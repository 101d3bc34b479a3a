// Effects of the options of the task, of pretraining and of fine-tuning.
#include <fstream>

#include "tests/options/option_effects.h"
#include "tests/support/temporary_folder.h"

namespace terse::options {
namespace {

std::set<std::string> difficulties(const Observed& run) {
  std::set<std::string> found;
  for (const auto& [difficulty, figures] : run.eval().at("by_difficulty").items()) found.insert(difficulty);
  return found;
}

double tokens(const Observed& run) {
  return run.result().at("tokens").get<double>();
}

const std::string kSample = TERSE_SOURCE_DIR "/tests/rl/tasks/samples/gsm8k.jsonl";
// Runs on word problems in bytes.
const Settings kWords = {"task.name=gsm8k", "task.path=" + kSample, "model.max_seq_len=512", "engine.max_new_tokens=4"};

// One problem with one step, in a file of its own.
std::string short_file(const support::TemporaryFolder& folder) {
  const std::string path = (folder.path() / "short.jsonl").string();
  std::ofstream(path) << R"({"question": "1+1?", "answer": "<<1+1=2>>2\n#### 2"})"
                      << "\n";
  return path;
}

void task_name(const Option& option) {
  EXPECT_EQ(finetune(option.set("chain7")).eval().at("task"), "chain7");
  EXPECT_EQ(finetune(option.set("gsm8k", kWords)).eval().at("task"), "gsm8k");
  try {
    load(option.set("chain8"));
    ADD_FAILURE() << "any name is taken";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("chain8"));
  }
}

void k_min(const Option& option) {
  EXPECT_EQ(difficulties(finetune(option.set("1"))), (std::set<std::string>{"1", "2"}));
  EXPECT_EQ(difficulties(finetune(option.set("2"))), (std::set<std::string>{"2"}));
}

void k_max(const Option& option) {
  const Settings longer = {"task.align_to=3"};
  EXPECT_EQ(difficulties(finetune(option.set("3", longer))), (std::set<std::string>{"2", "3"}));
  EXPECT_EQ(difficulties(finetune(longer)), (std::set<std::string>{"2"}));
}

// The prompts of an evaluation, as text.
std::string prompts(const Observed& run) {
  std::string all;
  for (const nlohmann::json& line : run.traces("eval")) all += line.at("prompt").get<std::string>() + "\n";
  return all;
}

void align(const Option& option) {
  const Settings filled = {"task.align_to=4"};
  EXPECT_THAT(prompts(finetune(filled)), ::testing::HasSubstr(";"));
  EXPECT_THAT(prompts(finetune(option.set("false", filled))), ::testing::Not(::testing::HasSubstr(";")));
}

// Each further operation adds two tokens to every prompt.
void align_to(const Option& option) {
  const Observed &two = finetune(), &four = finetune(option.set("4"));
  EXPECT_EQ(tokens(four) - tokens(two), 3 * 4 * 4) << "3 steps of 4 sequences";
  EXPECT_THAT(prompts(two), ::testing::Not(::testing::HasSubstr(";")));
  EXPECT_THAT(prompts(four), ::testing::HasSubstr(";;;;"));
}

// For two operations, a verbose trace is 12 tokens longer than a direct one, and a compact one 6.
void forms(const Option& option) {
  const double direct = tokens(finetune(option.set("{direct: 1}")));
  EXPECT_EQ(tokens(finetune(option.set("{verbose: 1}"))) - direct, 3 * 4 * 12);
  EXPECT_EQ(tokens(finetune(option.set("{compact: 2}"))) - direct, 3 * 4 * 6);
  const double mixed = tokens(finetune(option.set("{verbose: 1, direct: 1}", {"sft.batch_size=40"})));
  const double share = (mixed - 10 * direct) / (3 * 40 * 12);
  EXPECT_NEAR(share, 0.5, 0.2);
}

// All training tokens are those of the only problem: 3 steps of 4 times its prompt, its solution and the end token.
void task_path(const Option& option) {
  const support::TemporaryFolder folder;
  const Settings elsewhere = kWords + Settings{"task.eval_path=" + kSample};
  EXPECT_EQ(tokens(finetune(option.set(short_file(folder), elsewhere))), 3 * 4 * (5 + 8 + 1));
  EXPECT_GT(tokens(finetune(option.set(kSample, elsewhere))), 3 * 4 * 100);
}

void task_eval_path(const Option& option) {
  const support::TemporaryFolder folder;
  EXPECT_EQ(difficulties(finetune(option.set(short_file(folder), kWords))), (std::set<std::string>{"1"}));
  EXPECT_EQ(difficulties(finetune(option.set(kSample, kWords))), (std::set<std::string>{"1", "2", "3"}));
}

void steps(const Option& option) {
  const std::string stage(configs::parent_of(option.path()));
  for (const int64_t steps : {2, 5}) {
    const Observed& run = run_of(stage, option.set(std::to_string(steps)));
    EXPECT_EQ(run.result().at("steps"), steps);
    EXPECT_EQ(run.training().back().at("step"), steps);
  }
}

void batch_size_of_windows(const Option& option) {
  const double four = tokens(pretrain()), eight = tokens(pretrain(option.set("8")));
  EXPECT_NEAR(four, 3 * 4 * 16, 40) << "windows at the ends of the text are shorter";
  EXPECT_NEAR(eight, 3 * 8 * 16, 80);
}

// A problem of two operations and its direct answer are ten tokens.
void batch_size_of_problems(const Option& option) {
  const double each = tokens(finetune()) / (3 * 4);
  EXPECT_NEAR(each, 9.5, 0.5);
  EXPECT_EQ(tokens(finetune(option.set("7"))), 3 * 7 * each);
}

// The results must be the same bits, from less memory.
void expect_smaller_passes(const Option& option, const std::string& limit) {
  const std::string stage(configs::parent_of(option.path()));
  const Settings big = {stage + ".batch_size=32", stage + ".steps=2", "pretrain.seq_len=64", "task.align_to=10",
                        "engine.max_batch=4"};
  const Observed &whole = run_of(stage, big), &parts = run_of(stage, option.set(limit, big));
  EXPECT_TRUE(same_training(whole, parts));
  EXPECT_LT(parts.peak_bytes, 0.6 * whole.peak_bytes);
}

void micro_batch(const Option& option) {
  expect_smaller_passes(option, "2");
}

void micro_tokens(const Option& option) {
  expect_smaller_passes(option, "128");
}

void window(const Option& option) {
  EXPECT_NEAR(tokens(pretrain(option.set("32"))), 3 * 4 * 32, 60);
  EXPECT_NEAR(tokens(pretrain(option.set("8"))), 3 * 4 * 8, 20);
}

void eval_every_of_texts(const Option& option) {
  const Settings seven = {"pretrain.steps=7"};
  EXPECT_EQ(pretrain(option.set("3", seven)).steps_with("val_loss"), (std::vector<int64_t>{3, 6, 7}));
  EXPECT_EQ(pretrain(option.set("0", seven)).steps_with("val_loss"), std::vector<int64_t>{7});
  EXPECT_TRUE(same_training(pretrain(option.set("3", seven)), pretrain(option.set("0", seven))));
}

void eval_every_of_problems(const Option& option) {
  const Settings seven = {"sft.steps=7"};
  const auto seen = finetune(option.set("3", seven)).steps_with("eval/accuracy");
  EXPECT_THAT(seen, ::testing::IsSupersetOf({3, 6}));
  EXPECT_THAT(seen, ::testing::IsSubsetOf({3, 6, 7}));
  EXPECT_THAT(finetune(option.set("0", seven)).steps_with("eval/accuracy"), ::testing::IsEmpty());
  EXPECT_TRUE(same_training(finetune(option.set("3", seven)), finetune(option.set("0", seven))));
}

// Files of conversations that live as long as the runs on them.
std::string conversations(const std::string& name, const std::string& answer) {
  static const support::TemporaryFolder folder;
  const std::string path = (folder.path() / (name + ".jsonl")).string();
  if (fs::exists(path)) return path;
  std::ofstream file(path);
  for (int i = 10; i < 50; ++i) file << R"({"prompt": ")" << i << R"(", "completion": ")" << answer << "\"}\n";
  return path;
}

Settings on_conversations(const Settings& more = {}) {
  return Settings{"sft.train=" + conversations("train", "aa")} + more;
}

// A conversation is a prompt of two bytes, the answer and the end token.
void sft_train(const Option& option) {
  const Observed& two = finetune(option.set(conversations("train", "aa")));
  EXPECT_EQ(tokens(two), 3 * 4 * (2 + 2 + 1));
  EXPECT_EQ(tokens(finetune(option.set(conversations("longer", "abcde")))), 3 * 4 * (2 + 5 + 1));
  EXPECT_FALSE(two.result().contains("eval")) << "there is no task without it";
  EXPECT_TRUE(finetune().result().contains("eval"));
}

// The loss is that of the answers of sft.val, and training does not change with it.
void sft_val(const Option& option) {
  const Settings more = on_conversations({"sft.steps=30", "sft.optimizer.lr=0.01", "checkpoint.every=0"});
  const Observed &easy = finetune(option.set(conversations("easy", "aa"), more)),
                 &hard = finetune(option.set(conversations("hard", "zq"), more));
  EXPECT_TRUE(same_training(easy, hard));
  EXPECT_LT(easy.metric("val_loss").back() + 1, hard.metric("val_loss").back());
}

void sft_val_fraction(const Option& option) {
  const auto hash = [](const Observed& run) {
    return run.saved(1).state.extra.at("progress").at("extra").at("stream").at("content_sha256");
  };
  const Observed &none = finetune(option.set("0", on_conversations())),
                 &half = finetune(option.set("0.5", on_conversations()));
  EXPECT_THAT(none.metric("val_loss"), ::testing::IsEmpty());
  EXPECT_THAT(half.metric("val_loss"), ::testing::SizeIs(1));
  EXPECT_NE(hash(none), hash(half)) << "fewer conversations are left to learn from";
}

// Enough batches cover all of the held-out text. More of them then change nothing.
void eval_batches(const Option& option) {
  const Settings half = {"data.val_fraction=0.5"};
  const auto loss = [&](const char* batches) { return pretrain(option.set(batches, half)).metric("val_loss").back(); };
  EXPECT_NE(loss("1"), loss("2"));
  EXPECT_EQ(loss("50"), loss("51"));
  EXPECT_TRUE(same_training(pretrain(option.set("1", half)), pretrain(option.set("2", half))));
}

}  // namespace

OptionEffects task_effects() {
  return {{"task.name", "the task of the evaluation; an unknown one is refused", task_name},
          {"task.k_min", "difficulties of the evaluation", k_min},
          {"task.k_max", "difficulties of the evaluation", k_max},
          {"task.align", "whether prompts are filled", align},
          {"task.align_to", "length of prompts", align_to},
          {"task.forms", "tokens of the traces", forms},
          {"task.path", "tokens of the solutions", task_path},
          {"task.eval_path", "difficulties of the evaluation", task_eval_path}};
}

OptionEffects pretrain_effects() {
  return {{"pretrain.steps", "number of steps", steps},
          {"pretrain.batch_size", "tokens of a step", batch_size_of_windows},
          {"pretrain.micro_batch", "peak memory, and not one bit of the results", micro_batch},
          {"pretrain.micro_tokens", "peak memory, and not one bit of the results", micro_tokens},
          {"pretrain.seq_len", "tokens of a window", window},
          {"pretrain.eval_every", "which records have a loss of validation", eval_every_of_texts},
          {"pretrain.eval_batches", "the loss of validation alone", eval_batches}};
}

OptionEffects sft_effects() {
  return {{"sft.steps", "number of steps", steps},
          {"sft.batch_size", "tokens of a step", batch_size_of_problems},
          {"sft.micro_batch", "peak memory, and not one bit of the results", micro_batch},
          {"sft.micro_tokens", "peak memory, and not one bit of the results", micro_tokens},
          {"sft.eval_every", "which records have an evaluation", eval_every_of_problems},
          {"sft.train", "tokens of a step, and whether a task is evaluated", sft_train},
          {"sft.val", "the loss of validation alone", sft_val},
          {"sft.val_fraction", "whether there is a loss of validation, and what is left to learn", sft_val_fraction}};
}

}  // namespace terse::options
