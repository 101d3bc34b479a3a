// A run that begins with a model of another program has its shape, tokenizer and chat template, and keeps them.
#include "tests/launch/model_of_others.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "launch/run/resolve.h"
#include "rl/eval/evaluate_checkpoint.h"
#include "rl/tasks/vocabulary.h"
#include "tests/support/stopping_world.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"
#include "trainer/saved_model/model_vocabulary.h"

namespace terse::launch {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kConfig = R"(
stages: [sft, rl]
run: {device: cpu, threads: 1, log_every: 1}
model: {max_seq_len: 32}
task: {name: gsm8k}
sft: {steps: 2, batch_size: 2}
rl: {steps: 2, prompts: 2, group_size: 2, demonstrations: 0, penalty: {kind: none}, student: {updates: 0}, trace_every: 1}
engine: {max_new_tokens: 4}
eval: {problems_per_difficulty: 2, samples: 1, quick_problems_per_difficulty: 1}
checkpoint: {every: 1}
)";

class ModelOfOthers : public ::testing::Test {
 protected:
  ModelOfOthers() {
    testing::make_model_of_others(model_);
    std::string problems;
    for (const char* question : {"1+1", "2+2", "3+4", "1+2"})
      problems += std::string(R"({"question": ")") + question + R"(", "answer": "#### 7"})" + "\n";
    folder_.write("problems.jsonl", problems);
    folder_.write("config.yaml", kConfig);
  }

  configs::RunConfig config(std::vector<std::string> settings = {}) const {
    GlobalOptions options;
    options.set = {"model.init=" + model_.string(), "task.path=" + problems_.string(),
                   "task.eval_path=" + problems_.string()};
    options.set.insert(options.set.end(), settings.begin(), settings.end());
    options.run_dir = dir_.string();
    return resolve_run((folder_.path() / "config.yaml").string(), options).config;
  }

  support::TemporaryFolder folder_;
  fs::path model_ = folder_.path() / "model", problems_ = folder_.path() / "problems.jsonl",
           dir_ = folder_.path() / "run";
};

TEST_F(ModelOfOthers, GivesShapeTokenizerAndChatTemplateToTheRun) {
  const configs::RunConfig config = this->config();
  EXPECT_EQ(config.model.vocab_size, 32);
  EXPECT_EQ(config.model.hidden_size, 24);
  fs::create_directories(dir_);
  support::run_alone(config, dir_);
  const std::vector<nlohmann::json> traces = support::json_lines(dir_ / "traces/rl.jsonl");
  ASSERT_FALSE(traces.empty());
  EXPECT_THAT(traces[0].at("prompt").get<std::string>(), ::testing::MatchesRegex("<u>[1-4][+][1-4]<e><a>"));
  const auto checkpoint = checkpoints::list_checkpoints(dir_ / "checkpoints").front();
  for (const fs::path& place : {dir_, checkpoint}) {
    const trainer::ModelVocabulary kept = trainer::load_model_vocabulary(place);
    EXPECT_EQ(kept.chat_template, testing::kTemplateOfOthers) << place;
    EXPECT_EQ(kept.tokenizer->vocab_size(), 18) << place;
    EXPECT_EQ(kept.tokenizer->eos_ids(), std::vector<int32_t>{17}) << place;
  }
}

// The folder of a run is complete, so nothing has to be where the model was.
TEST_F(ModelOfOthers, IsNotNeededOnceTheRunHasBegun) {
  const fs::path whole = folder_.path() / "whole";
  fs::create_directories(whole);
  fs::create_directories(dir_);
  const configs::RunConfig config = this->config();
  support::run_alone(config, whole);
  folder_.write("run/config.yaml", configs::to_yaml(config));
  EXPECT_FALSE(support::run_until({"rollout"}, config, dir_));
  fs::remove_all(model_);
  EXPECT_EQ(this->config().model.vocab_size, 32);
  support::run_alone(this->config(), dir_);
  EXPECT_EQ(support::records_of(whole), support::records_of(dir_));
}

TEST_F(ModelOfOthers, WithoutATokenizerIsRefused) {
  fs::remove(model_ / "tokenizer.json");
  try {
    config();
    ADD_FAILURE() << "expected an error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), ::testing::AllOf(HasSubstr("tokenizer.kind: is auto"), HasSubstr("tokenizer.path")));
  }
}

// A response could not end. This is a mistake of the user and no bug.
TEST_F(ModelOfOthers, WithoutAnEndTokenIsRefused) {
  for (const char* file : {"tokenizer_config.json", "generation_config.json"}) fs::remove(model_ / file);
  nlohmann::json shape = nlohmann::json::parse(support::read_file(model_ / "config.json"));
  shape.erase("eos_token_id");
  folder_.write("model/config.json", shape.dump());
  try {
    config();
    ADD_FAILURE() << "expected an error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("has no end token"));
  }
}

TEST_F(ModelOfOthers, ATokenizerWithMoreTokensThanTheModelIsRefused) {
  try {
    fs::create_directories(dir_);
    support::run_alone(config({"tokenizer.kind=byte"}), dir_);
    ADD_FAILURE() << "expected an error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("model.vocab_size: is 32, but the tokenizer of the run has 258 tokens"));
  }
}

TEST_F(ModelOfOthers, AChatTemplateOfAFileMayNotChangeOnceTheRunHasBegun) {
  const fs::path file = folder_.path() / "mine.jinja";
  const std::string text = testing::kTemplateOfOthers;
  configs::RunConfig mine = config();
  mine.chat.chat_template = file.string();
  fs::create_directories(dir_);
  // The first rank begins the run, and the others find it begun.
  const auto chosen = [&](bool first) { return rl::open_vocabulary(mine, dir_, first).chat->template_text(); };
  folder_.write("mine.jinja", "");
  EXPECT_THAT([&] { chosen(true); }, ::testing::ThrowsMessage<ConfigError>(HasSubstr("mine.jinja is empty")));
  folder_.write("mine.jinja", "{{ nix");
  EXPECT_THAT([&] { chosen(true); }, ::testing::ThrowsMessage<DataError>(HasSubstr("mine.jinja, line 1")));
  folder_.write("mine.jinja", text);
  EXPECT_EQ(chosen(true), text);
  EXPECT_EQ(chosen(false), text);
  folder_.write("mine.jinja", text + "!");
  EXPECT_THAT([&] { chosen(false); },
              ::testing::ThrowsMessage<ConfigError>(HasSubstr("mine.jinja has changed since the run began")));
  fs::remove(file);
  EXPECT_EQ(chosen(false), text) << "the run has its own copy";
}

// terse eval takes the task from a file, or from the command line alone.
TEST_F(ModelOfOthers, IsEvaluatedAsInARunThatOnlyEvaluates) {
  fs::create_directories(dir_);
  const nlohmann::json summary = support::run_alone(config({"stages=[eval]", "run.seed=3"}), dir_);
  const nlohmann::json expected = summary.at("stages").at(0).at("eval");
  GlobalOptions options;
  options.seed = 3;
  options.set = {"task.path=" + problems_.string(), "task.eval_path=" + problems_.string()};
  const fs::path checkpoint = checkpoints::list_checkpoints(dir_ / "checkpoints").front();
  for (const fs::path& model : {model_, dir_, checkpoint}) {
    const ResolvedRun resolved = resolve_evaluation(model, (folder_.path() / "config.yaml").string(), options);
    EXPECT_EQ(rl::evaluate_model(resolved.config, *resolved.task.task), expected) << model;
  }
  for (const char* setting : {"task.name=gsm8k", "eval.problems_per_difficulty=2", "eval.samples=1",
                              "engine.max_new_tokens=4", "run.threads=1", "run.device=cpu"})
    options.set.push_back(setting);
  const ResolvedRun alone = resolve_evaluation(model_, "", options);
  EXPECT_EQ(rl::evaluate_model(alone.config, *alone.task.task), expected);
}

TEST_F(ModelOfOthers, GeneratesWithAndWithoutTheChatTemplate) {
  int64_t samples = 0;
  const auto emit = [&](int64_t, const std::string&, int64_t, bool) { ++samples; };
  // The room for a response is what the prompt leaves of 64 tokens: "1+1", or "<u>1+1<e><a>".
  for (const auto& [chat, room] : {std::pair(false, 64 - 3), std::pair(true, 64 - 6)}) {
    rl::GenerateRequest request{.target = model_, .prompt = "1+1", .chat = chat, .temperature = 0};
    request.device = "cpu";
    EXPECT_EQ(rl::generate(request, emit), room);
  }
  EXPECT_EQ(samples, 2);
  fs::remove(model_ / "chat_template.jinja");
  rl::GenerateRequest request{.target = model_, .prompt = "1+1", .chat = true, .max_new_tokens = 8};
  EXPECT_THROW(rl::generate(request, emit), std::invalid_argument);
}

}  // namespace
}  // namespace terse::launch
