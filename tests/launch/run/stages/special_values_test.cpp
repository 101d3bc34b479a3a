// Tests that special values (0, an empty text or list, auto) mean what is documented. The run must have the same
// weights, to the last bit, as the run with the value written out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoints/store.h"
#include "configs/load.h"
#include "launch/run/stages/run_stages.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"

namespace terse::launch {
namespace {

namespace fs = std::filesystem;
using Settings = std::vector<std::string>;

constexpr const char* kWithTask = R"(stages: [sft, rl]
run: {device: cpu, threads: 1, log_every: 1}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 64, init_std: 0.3}
task: {k_min: 1, k_max: 2, align_to: 2}
sft: {steps: 6, batch_size: 4, optimizer: {lr: 0.01, schedule: constant}}
rl: {steps: 3, prompts: 2, group_size: 4, demonstrations: 4, max_resample_rounds: 0, eval_every: 0, student: {updates: 1, traces: 2}}
eval: {problems_per_difficulty: 2, samples: 1, quick_problems_per_difficulty: 1}
engine: {max_batch: 4}
checkpoint: {every: 1}
)";
constexpr const char* kWithText = R"(stages: [pretrain]
run: {device: cpu, threads: 1, log_every: 1}
tokenizer: {kind: byte}
data: {train: TEXT, val_fraction: 0.25}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 16}
pretrain: {steps: 6, batch_size: 3, eval_every: 2, eval_batches: 2}
)";

class SpecialValues : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ofstream text(folder_.path() / "text.txt");
    for (int i = 0; i < 30; ++i) text << "the cat sat on mat " << i << "\n";
  }

  // Runs with these settings and returns the run folder.
  fs::path finished(std::string yaml, const Settings& settings) {
    if (const size_t at = yaml.find("TEXT"); at != std::string::npos)
      yaml.replace(at, 4, (folder_.path() / "text.txt").string());
    const fs::path dir = folder_.path() / ("run-" + std::to_string(runs_++));
    fs::create_directories(dir);
    const auto world = trainer::World::start({});
    run_stages({support::config_of(yaml, settings), dir, "test", world.get(), nullptr});
    return dir;
  }

  static torch::Tensor weights(const fs::path& dir) {
    std::vector<torch::Tensor> all;
    const auto loaded = checkpoints::load_latest(dir / "checkpoints");
    for (const auto& [name, shard] : loaded->state.tensors) all.push_back(shard.data.flatten().to(torch::kFloat64));
    return torch::cat(all);
  }

  static std::vector<nlohmann::json> records(const fs::path& dir) {
    std::vector<nlohmann::json> all;
    std::ifstream file(dir / "metrics.jsonl");
    for (std::string line; std::getline(file, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  }
  static int64_t records_with(const fs::path& dir, const std::string& stage, const std::string& name) {
    int64_t count = 0;
    for (const nlohmann::json& record : records(dir)) count += record.at("stage") == stage && record.contains(name);
    return count;
  }

  void expect_same(const char* yaml, const Settings& special, const Settings& written_out) {
    const torch::Tensor a = weights(finished(yaml, special)), b = weights(finished(yaml, written_out));
    EXPECT_TRUE(torch::equal(a, b)) << special.front() << " and " << written_out.front();
  }
  // expect_same() proves something only if the option can change weights at all.
  void expect_different(const char* yaml, const Settings& one, const Settings& other) {
    const torch::Tensor a = weights(finished(yaml, one)), b = weights(finished(yaml, other));
    EXPECT_FALSE(torch::equal(a, b)) << one.front() << " and " << other.front();
  }

  terse::support::TemporaryFolder folder_;
  int runs_ = 0;
};

TEST_F(SpecialValues, OfTheModelStandForWhatTheyAreDerivedFrom) {
  expect_same(kWithTask, {"model.kv_heads=0"}, {"model.kv_heads=2"});
  expect_different(kWithTask, {"model.kv_heads=0"}, {"model.kv_heads=1"});
  expect_same(kWithTask, {"model.head_dim=0"}, {"model.head_dim=8"});
  expect_same(kWithTask, {"model.intermediate_size=0"}, {"model.intermediate_size=64"});
  expect_same(kWithTask, {"model.depth=0"}, {"model.layers=1"});
}

TEST_F(SpecialValues, OfTrainingStandForTheWholeBatchAndForNoBound) {
  expect_same(kWithTask, {"sft.micro_batch=0"}, {"sft.micro_batch=4"});
  expect_same(kWithTask, {"rl.micro_batch=0"}, {"rl.micro_batch=8"});
  expect_same(kWithTask, {"sft.optimizer.clip_grad_norm=0"}, {"sft.optimizer.clip_grad_norm=3e38"});
  expect_different(kWithTask, {"sft.optimizer.clip_grad_norm=0"}, {"sft.optimizer.clip_grad_norm=0.01"});
  expect_same(kWithTask, {"sft.optimizer.warmup_steps=0"}, {"sft.optimizer.warmup_steps=1"});
  expect_same(kWithTask, {"rl.demonstrations=0"}, {"rl.demonstration_weight=0"});
  expect_same(kWithTask, {"run.threads=0"}, {"run.threads=3"});
  expect_same(kWithTask, {"parallel.ranks_per_node=0"}, {"parallel.ranks_per_node=1"});
}

TEST_F(SpecialValues, OfSamplingAreOff) {
  expect_same(kWithTask, {"engine.max_new_tokens=0"}, {"engine.max_new_tokens=40"});
  expect_same(kWithTask, {"engine.top_k=0"}, {"engine.top_k=16"});
  expect_same(kWithTask, {"engine.top_k=0"}, {"engine.top_k=1000000"});
  expect_same(kWithTask, {"engine.min_p=0"}, {"engine.min_p=1e-37"});
  expect_same(kWithTask, {"engine.top_p=1"}, {"engine.top_k=16"});
}

TEST_F(SpecialValues, OfTheTaskAreItsOwnMixture) {
  expect_same(kWithTask, {"task.forms={}"},
              {"task.forms={recheck: 0.35, verbose: 0.22, compact: 0.22, states: 0.18, direct: 0.03}"});
  expect_different(kWithTask, {"task.forms={}"}, {"task.forms={states: 1}"});
}

TEST_F(SpecialValues, OfPretrainingStandForModelTokenizerAndHeldOutText) {
  expect_same(kWithText, {"pretrain.seq_len=0"}, {"pretrain.seq_len=16"});
  expect_different(kWithText, {"pretrain.seq_len=0"}, {"pretrain.seq_len=8"});
  expect_same(kWithText, {"pretrain.micro_batch=0"}, {"pretrain.micro_batch=3"});
  expect_same(kWithText, {"tokenizer.kind=auto"}, {"tokenizer.kind=byte"});
  expect_same(kWithText, {"data.separator="}, {"data.separator=never in the text"});
  expect_different(kWithText, {"data.separator="}, {"data.separator=cat"});
}

TEST_F(SpecialValues, OfCadencesMeanAtTheEndOnlyOrNever) {
  const fs::path never = finished(kWithTask, {"sft.eval_every=0", "rl.eval_every=0", "rl.trace_every=0",
                                              "rl.student.updates=0", "checkpoint.every=0"});
  const fs::path often =
      finished(kWithTask, {"sft.eval_every=2", "rl.eval_every=1", "rl.trace_every=1", "checkpoint.every=1"});
  EXPECT_EQ(records_with(never, "sft", "eval/accuracy"), 1);
  EXPECT_EQ(records_with(often, "sft", "eval/accuracy"), 4);
  EXPECT_EQ(records_with(never, "rl", "eval/accuracy"), 1);
  EXPECT_EQ(records_with(often, "rl", "eval/accuracy"), 3);
  EXPECT_EQ(checkpoints::list_checkpoints(never / "checkpoints").size(), 2u);
  EXPECT_EQ(checkpoints::load_latest(never / "checkpoints")->info.step, 9);
  EXPECT_EQ(records_with(never, "rl", "student/loss"), 0);
  const auto lines = [](const fs::path& file) {
    std::ifstream stream(file);
    int64_t count = 0;
    for (std::string line; std::getline(stream, line);) ++count;
    return count;
  };
  EXPECT_LT(lines(never / "traces/rl.jsonl"), lines(often / "traces/rl.jsonl"));
  const fs::path text = finished(kWithText, {"pretrain.eval_every=0"});
  EXPECT_EQ(records_with(text, "pretrain", "val_loss"), 1);
  EXPECT_EQ(records_with(finished(kWithText, {}), "pretrain", "val_loss"), 3);
}

}  // namespace
}  // namespace terse::launch
