// Tests both ends of the range of every option. A tiny run at each end must finish with finite metrics, or the
// configuration must be refused with an error that names the option.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <set>

#include "configs/fields.h"
#include "configs/load.h"
#include "launch/run/stages/run_stages.h"
#include "rl/tasks/limits.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"

namespace terse::launch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWithTask = R"(stages: [sft, rl]
run: {device: cpu, threads: 1, log_every: 1}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 64}
task: {k_min: 1, k_max: 2, align_to: 2}
sft: {steps: 2, batch_size: 4}
rl: {steps: 1, prompts: 2, group_size: 2, demonstrations: 2, max_resample_rounds: 0, eval_every: 0, student: {updates: 1, traces: 2}}
eval: {problems_per_difficulty: 1, samples: 1, quick_problems_per_difficulty: 1}
engine: {max_batch: 4}
)";
constexpr const char* kWithText = R"(stages: [pretrain]
run: {device: cpu, threads: 1, log_every: 1}
tokenizer: {kind: char}
data: {train: TEXT, val_fraction: 0.3}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 16}
pretrain: {steps: 2, batch_size: 2, eval_batches: 1}
)";

// Options whose upper end takes too much memory or time for a test.
const std::set<std::string> kCostly = {
    "model.depth",        "model.layers",        "model.hidden_size",
    "model.heads",        "model.head_dim",      "model.intermediate_size",
    "model.max_seq_len",  "sft.steps",           "rl.steps",
    "pretrain.steps",     "pretrain.batch_size", "sft.batch_size",
    "rl.prompts",         "rl.group_size",       "rl.demonstrations",
    "rl.student.updates", "rl.student.traces",   "eval.problems_per_difficulty",
    "eval.samples",       "engine.max_batch",    "rl.max_resample_rounds",
};

// Settings that an end needs beside it to be valid.
const std::map<std::string, std::vector<std::string>> kBeside = {
    {"model.hidden_size=1", {"model.heads=1", "model.head_dim=2"}},
    {"model.depth=1", {"model.layers=1"}},
    {"sft.steps=0", {"stages=[rl]"}},
    {"rl.steps=0", {"stages=[sft]"}},
    {"rl.penalty.limit=1", {"rl.penalty.kind=truncation"}},
    {"sft.eval_every=1", {}},
    {"engine.max_new_tokens=1", {}},
};
std::vector<std::string> beside(const std::string& key, const std::string& setting) {
  const auto found = kBeside.find(setting);
  std::vector<std::string> more = found == kBeside.end() ? std::vector<std::string>{} : found->second;
  if (key.ends_with("decay_fraction")) more.push_back(key.substr(0, key.rfind('.')) + ".schedule=wsd");
  if (key.starts_with("rl.penalty.strength")) more.push_back("rl.penalty.kind=group_relative");
  return more;
}

struct Ends {
  std::string low, high;  // "" where a range has none
};

Ends ends_of(const configs::Field& field) {
  const configs::Rule& rule = field.rule;
  if (std::holds_alternative<int64_t*>(field.value)) {
    const double high = rule.max;
    return {fmt::format("{}", static_cast<int64_t>(rule.min)),
            fmt::format("{}", std::isfinite(high) ? static_cast<int64_t>(high) : std::numeric_limits<int64_t>::max())};
  }
  if (std::holds_alternative<double*>(field.value)) {
    constexpr float kSmallest = std::numeric_limits<float>::min(), kLargest = std::numeric_limits<float>::max();
    const float high = std::isfinite(rule.max) ? static_cast<float>(rule.max) : kLargest;
    return {fmt::format("{}", rule.min_excluded ? kSmallest : static_cast<float>(rule.min)),
            fmt::format("{}", rule.max_excluded ? std::nextafter(high, 0.0f) : high)};
  }
  return {};
}

void expect_finite_metrics(const fs::path& dir, const std::string& setting) {
  std::ifstream file(dir / "metrics.jsonl");
  int64_t records = 0;
  for (std::string line; std::getline(file, line); ++records) {
    const nlohmann::json record = nlohmann::json::parse(line);
    for (const auto& [name, value] : record.items())
      EXPECT_FALSE(value.is_null()) << setting << ": " << name << " in " << line;
  }
  EXPECT_GT(records, 0) << setting;
}

class RangeEnds : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ofstream text(folder_.path() / "text.txt");
    for (int i = 0; i < 40; ++i) text << "the cat sat on the mat\n";
  }

  // Runs the configuration with key=value, unless it is refused with an error that names the key. Returns whether it
  // ran.
  bool try_end(const std::string& key, const std::string& value) {
    const std::string setting = key + "=" + value;
    std::vector<std::string> overrides = beside(key, setting);
    overrides.push_back(setting);
    std::string yaml = key.starts_with("pretrain.") || key.starts_with("data.") ? kWithText : kWithTask;
    if (const size_t at = yaml.find("TEXT"); at != std::string::npos)
      yaml.replace(at, 4, (folder_.path() / "text.txt").string());
    configs::RunConfig config = rl::default_config();
    try {
      config = support::config_of(yaml, overrides);
      rl::check_limits(config);
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(key)) << setting;
      return false;
    }
    const fs::path dir = folder_.path() / ("run-" + std::to_string(runs_++));
    fs::create_directories(dir);
    try {
      run_stages({config, dir, "test", trainer::World::start({}).get(), nullptr});
      expect_finite_metrics(dir, setting);
    } catch (const ConfigError& error) {  // some limits show only when data are read
      EXPECT_THAT(error.what(), ::testing::HasSubstr(key)) << setting;
    } catch (const std::exception& error) {
      ADD_FAILURE() << setting << ": " << error.what();
    }
    fs::remove_all(dir);
    return true;
  }

  support::TemporaryFolder folder_;
  int64_t runs_ = 0;
};

TEST_F(RangeEnds, OfEveryOptionWorkOrAreRefusedByName) {
  configs::RunConfig defaults = rl::default_config();
  int64_t ran = 0, refused = 0;
  for (const configs::Field& field : configs::list_fields(defaults).fields) {
    const Ends ends = ends_of(field);
    if (ends.low.empty()) continue;
    (try_end(field.path, ends.low) ? ran : refused) += 1;
    if (!kCostly.contains(field.path)) (try_end(field.path, ends.high) ? ran : refused) += 1;
  }
  EXPECT_GT(ran, 100) << "most ends can be used as they are";
  EXPECT_LT(refused, 30);
}

}  // namespace
}  // namespace terse::launch
