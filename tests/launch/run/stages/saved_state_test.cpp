// Tests that a run restores everything that a checkpoint saves. A run that resumes in the middle of a stage must
// continue as the uninterrupted one did. Then the tests walk through that checkpoint, and alter and remove each key,
// one at a time. The run must then continue differently, or fail with an error that names the key.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "configs/load.h"
#include "tests/support/stopping_world.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_run.h"

namespace terse::launch {
namespace {

namespace fs = std::filesystem;
using checkpoints::StateDict;
using Json = nlohmann::json;
using Pointer = Json::json_pointer;
using Saved = checkpoints::Store::Loaded;

const Pointer kDifficulties("/progress/extra/controller/difficulties");

// Keys whose change these tests cannot observe, and why.
const std::map<std::string, std::string> kWithoutConsequence = {
    {"/progress/seconds", "a time: how long the stage has taken is told in the summary, and decides nothing"},
    {"/metrics/global_step", "tells TensorBoard which points to drop; trainer/metrics_logger_test.cpp looks at it"},
    {"/progress/extra/skipped/0", "matters once an update is skipped; see SkippedUpdatesInARowAreRestored"},
    {"/progress/extra/apprentice/loss", "matters while a record is pending; see ARecordThatIsPendingIsRestored"},
    {"/progress/extra/apprentice/exam_due", "matters while a record is pending; see ARecordThatIsPendingIsRestored"}};

// Keys that may be missing, because checkpoints of older builds lack them. The defaults are what those builds did.
const std::set<std::string> kMayBeMissing = {"/tokenizer", "/progress/pending", "/progress/extra/apprentice/exam_due"};
// The same for each difficulty in the controller's state.
const std::set<std::string> kMayBeMissingOfDifficulty = {"mastered", "here"};
bool may_be_missing(const Pointer& at) {
  const bool of_difficulty = !at.empty() && at.parent_pointer().parent_pointer() == kDifficulties;
  return kMayBeMissing.count(at.to_string()) > 0 || (of_difficulty && kMayBeMissingOfDifficulty.count(at.back()) > 0);
}

// The results of a run, without values that depend on time.
struct Outcome {
  std::string refusal;  // why it did not run
  std::vector<Json> records;
  std::map<std::string, std::string> other_lines;  // contents of ledger and traces
  Json summary;
  std::map<std::string, StateDict> checkpoints;  // all but the one that it began with

  bool operator==(const Outcome& other) const {
    const auto same = [](const auto& a, const auto& b) {
      return a.first == b.first && a.second.extra == b.second.extra && support::same_tensors(a.second, b.second);
    };
    return refusal == other.refusal && records == other.records && other_lines == other.other_lines &&
           summary == other.summary &&
           std::equal(checkpoints.begin(), checkpoints.end(), other.checkpoints.begin(), other.checkpoints.end(), same);
  }
};

// Removes what depends on time. The size of metrics.jsonl does, because the times in it vary in their number of digits.
void forget_time(Json& extra) {
  extra.at("metrics").at("files").erase("metrics.jsonl");
  extra.at("progress").erase("seconds");
  extra.at("finished") = support::without_time(extra.at("finished"));
}

Outcome outcome_of(const fs::path& dir, const std::string& beginning) {
  Outcome outcome;
  outcome.records = support::records_of(dir);
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    if (entry.path().extension() != ".jsonl" || entry.path().filename() == "metrics.jsonl") continue;
    std::ifstream file(entry.path(), std::ios::binary);
    outcome.other_lines[entry.path().filename()] = {std::istreambuf_iterator<char>(file), {}};
  }
  std::ifstream summary(dir / "summary.json");
  if (summary) outcome.summary = support::without_time(Json::parse(summary));
  for (const fs::path& path : checkpoints::list_checkpoints(dir / "checkpoints")) {
    if (path.filename() == beginning) continue;
    StateDict state = checkpoints::load(path).state;
    forget_time(state.extra);
    outcome.checkpoints[path.filename()] = std::move(state);
  }
  return outcome;
}

// A run in its own folder that can be resumed from any of its checkpoints.
class TinyRun {
 public:
  TinyRun(const std::string& yaml, const std::vector<std::string>& settings)
      : config_(support::config_of(yaml, settings)) {}

  const fs::path& dir() const { return folder_.path(); }
  void go() { support::run_alone(config_, dir()); }
  Saved saved(int64_t step) const { return checkpoints::load(dir() / "checkpoints" / fmt::format("step-{}", step)); }
  Outcome outcome(int64_t beginning) const { return outcome_of(dir(), fmt::format("step-{}", beginning)); }

  // Resumes from `saved` in a new folder.
  Outcome go_on(const Saved& saved) const {
    const support::TemporaryFolder folder;
    begin(saved, folder.path());
    std::string refusal;
    try {
      support::run_alone(config_, folder.path());
    } catch (const std::exception& error) {
      refusal = error.what();
    }
    Outcome outcome = outcome_of(folder.path(), fmt::format("step-{}", saved.info.step));
    outcome.refusal = refusal;
    return outcome;
  }
  // Resumes from `saved`, stops the run when it enters `phase`, and returns the checkpoint that it saves.
  Saved stopped_at(const std::string& phase, const Saved& saved) const {
    const support::TemporaryFolder folder;
    begin(saved, folder.path());
    EXPECT_FALSE(support::run_until({phase}, config_, folder.path()));
    return *checkpoints::load_latest(folder.path() / "checkpoints");
  }
  // Removes all checkpoints of this run's folder, then resumes there from `saved`.
  void replace_by(const Saved& saved) {
    fs::remove_all(dir() / "checkpoints");
    fs::remove(dir() / "summary.json");
    checkpoints::Store(dir() / "checkpoints", 2, false).save(saved.info, saved.state);
    go();
  }

 private:
  // Fills `folder` with this checkpoint alone, and with the files that this run's folder has beside its checkpoints.
  void begin(const Saved& saved, const fs::path& folder) const {
    for (const char* name : {"metrics.jsonl", "ledger.jsonl", "traces", "data"})
      if (fs::exists(dir() / name)) fs::copy(dir() / name, folder / name, fs::copy_options::recursive);
    checkpoints::Store(folder / "checkpoints", 2, false).save(saved.info, saved.state);
  }

  configs::RunConfig config_;
  support::TemporaryFolder folder_;
};

// Collects every node below `json`, inner nodes and leaves. The result of a finished stage counts as one leaf.
void walk(const Json& json, const Pointer& at, std::vector<Pointer>& nodes) {
  if (!at.empty()) nodes.push_back(at);
  if (at.parent_pointer() == Pointer("/finished")) return;
  if (json.is_object())
    for (const auto& [key, value] : json.items()) walk(value, at / key, nodes);
  if (json.is_array())
    for (size_t i = 0; i < json.size(); ++i) walk(json[i], at / i, nodes);
}

bool is_leaf(const Json& value, const Pointer& at) {
  return value.is_primitive() || value.empty() || at.parent_pointer() == Pointer("/finished");
}

// The saved positions in the line files.
const Pointer kFiles("/metrics/files");

// Returns another value of the same type; null becomes a pending record. A position in a file becomes 0, so that whole
// lines are lost.
Json altered(const Json& value, const Pointer& at) {
  if (at.parent_pointer() == kFiles) return 0;
  if (value.is_null()) return {{"accuracy", 1}, {"loss", 1}, {"lr", 1}};  // a record that is pending
  if (value.is_number_integer()) return value.get<int64_t>() + 1;
  if (value.is_number()) return value.get<double>() + 0.5;
  if (value.is_string()) return value.get<std::string>() + "x";
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_array()) return Json::array({int64_t{1} << 33});  // an empty one: the outstanding problems
  Json result = value;
  result["steps"] = 12345;  // the result of a finished stage
  return result;
}

void leave_out(Json& extra, const Pointer& at) {
  Json& parent = extra.at(at.parent_pointer());
  if (parent.is_array()) parent.erase(static_cast<size_t>(std::stoll(at.back())));
  if (parent.is_object()) parent.erase(at.back());
}

// Alters and removes each tensor, or each other key, of a checkpoint. Compares with the run that resumes from the
// unchanged checkpoint.
class Keys {
 public:
  Keys(const TinyRun& run, int64_t step) : Keys(run, run.saved(step)) {}
  Keys(const TinyRun& run, Saved saved) : run_(run), saved_(std::move(saved)), plain_(run.go_on(saved_)) {
    EXPECT_EQ(plain_.refusal, "");
    const Outcome whole = run.outcome(saved_.info.step);
    EXPECT_EQ(plain_.records, whole.records);
    EXPECT_EQ(plain_.other_lines, whole.other_lines);
    EXPECT_EQ(plain_.summary, whole.summary);
    EXPECT_FALSE(plain_.checkpoints.empty());
    for (const auto& [name, state] : plain_.checkpoints) {
      EXPECT_EQ(state.extra, whole.checkpoints.at(name).extra) << name;
      EXPECT_TRUE(support::same_tensors(state, whole.checkpoints.at(name))) << name;
    }
  }

  void try_tensors() {
    EXPECT_GT(saved_.state.tensors.size(), 10u);
    for (const auto& [name, shard] : saved_.state.tensors) {
      Saved other = saved_;
      other.state.tensors.at(name).data = shard.data + 1;
      expect_difference(other, name + " altered");
      other.state.tensors.erase(name);
      expect_difference(other, name + " left out", name);
    }
  }

  void try_the_rest() {
    std::vector<Pointer> nodes;
    walk(saved_.state.extra, Pointer(), nodes);
    EXPECT_GT(nodes.size(), 10u);
    for (const Pointer& at : nodes) {
      const bool file = at.parent_pointer() == kFiles;
      if (file && !fs::exists(run_.dir() / at.back())) continue;
      const Json& value = saved_.state.extra.at(at);
      const bool harmless = kWithoutConsequence.count(at.to_string()) > 0 || (file && value == 0);
      if (is_leaf(value, at) && !harmless) try_altered(at);
      const bool nothing_to_cut = file && value == fs::file_size(run_.dir() / at.back());
      if (!may_be_missing(at) && !nothing_to_cut) try_without(at);
    }
  }

  void try_altered(const Pointer& at) {
    const Json& value = saved_.state.extra.at(at);
    Saved other = saved_;
    Json& changed = other.state.extra.at(at);
    changed = altered(value, at);
    expect_difference(other, fmt::format("{}: {} instead of {}", at.to_string(), changed.dump(), value.dump()));
  }

  void try_without(const Pointer& at) {
    Saved other = saved_;
    leave_out(other.state.extra, at);
    const bool element = saved_.state.extra.at(at.parent_pointer()).is_array();
    expect_difference(other, at.to_string() + " left out", element ? "" : at.back());
  }

 private:
  // A failure counts as a difference if its message contains `name`.
  void expect_difference(const Saved& saved, const std::string& what, const std::string& name = "") const {
    const Outcome outcome = run_.go_on(saved);
    EXPECT_FALSE(outcome == plain_) << what << " makes no difference";
    EXPECT_TRUE(outcome.refusal.empty() || outcome.refusal.find(name) != std::string::npos)
        << what << ": " << outcome.refusal;
  }

  const TinyRun& run_;
  Saved saved_;
  Outcome plain_;
};

constexpr const char* kCommon = R"(
run: {device: cpu, threads: 1, log_every: 1}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 64, init_std: 0.2}
task: {k_min: 1, k_max: 2, align_to: 2}
eval: {problems_per_difficulty: 2, samples: 1, quick_problems_per_difficulty: 1}
checkpoint: {every: 1, keep: 100}
)";

// Writes a text of few windows, so that the middle of the run lies in a later epoch. Returns the setting that names it.
std::string text_in(const support::TemporaryFolder& folder) {
  const fs::path path = folder.path() / "text.txt";
  std::ofstream(path) << "abcabcbbcabcaabacabbcabcacbabcbacbbacbabccabcabbcabaccbab";
  return "data.train=" + path.string();
}

TEST(SavedState, OfPretrainingIsRestored) {
  const support::TemporaryFolder folder;
  TinyRun run(kCommon, {"stages=[pretrain]", text_in(folder), "pretrain.steps=6", "pretrain.batch_size=3",
                        "pretrain.seq_len=8", "pretrain.eval_every=2"});
  run.go();
  EXPECT_GT(run.saved(3).state.extra.at("/progress/extra/stream/epoch"_json_pointer), 0);
  EXPECT_GT(run.saved(3).state.extra.at("/progress/extra/stream/cursor"_json_pointer), 0);
  Keys keys(run, 3);
  keys.try_tensors();
  keys.try_the_rest();
}

TEST(SavedState, OfFineTuningIsRestored) {
  TinyRun run(kCommon, {"stages=[eval, sft]", "sft.steps=5", "sft.batch_size=3"});
  run.go();
  Keys keys(run, 3);
  keys.try_tensors();
  keys.try_the_rest();
}

// The middle of the run lies in the second epoch of the conversations.
TEST(SavedState, OfFineTuningOnConversationsIsRestored) {
  const support::TemporaryFolder folder;
  const fs::path path = folder.path() / "chats.jsonl";
  std::ofstream file(path);
  for (const char* word : {"one", "two", "three", "four", "five", "six", "seven"})
    file << R"({"prompt": ")" << word << R"(?", "completion": "!)" << word << "\"}\n";
  file.close();
  TinyRun run(kCommon,
              {"stages=[sft]", "sft.train=" + path.string(), "sft.val_fraction=0", "sft.steps=6", "sft.batch_size=3"});
  run.go();
  EXPECT_GT(run.saved(3).state.extra.at("/progress/extra/stream/epoch"_json_pointer), 0);
  EXPECT_GT(run.saved(3).state.extra.at("/progress/extra/stream/cursor"_json_pointer), 0);
  Keys keys(run, 3);
  keys.try_tensors();
  keys.try_the_rest();
}

// With an enormous lm_head the loss is finite, but its gradient is not.
TEST(SavedState, SkippedUpdatesInARowAreRestored) {
  TinyRun run(kCommon, {"stages=[sft]", "sft.steps=9", "sft.batch_size=3", "sft.optimizer.max_nonfinite_steps=3",
                        "model.tie_embeddings=false"});
  run.go();
  Saved broken = run.saved(1);
  broken.state.tensors.at("lm_head.weight").data.mul_(1e25);
  const auto steps_before_giving_up = [&](int64_t skipped) {
    broken.state.extra.at("/progress/extra/skipped/0"_json_pointer) = skipped;
    const Outcome outcome = run.go_on(broken);
    EXPECT_THAT(outcome.refusal, ::testing::HasSubstr("not finite"));
    return outcome.records.size() - 1;
  };
  EXPECT_EQ(steps_before_giving_up(0), 3u);
  EXPECT_EQ(steps_before_giving_up(2), 1u);
}

// A run of reinforcement learning in which all state is in use. The controller stands at a level with others before and
// after it, so updates have demonstrations and the student trains. It has been at the gate, and groups have been
// replaced.
class Reinforced : public TinyRun {
 public:
  static constexpr int64_t kMiddle = 8 + 4;

  Reinforced()
      : TinyRun(kCommon, {"stages=[sft, rl]", "sft.steps=8", "sft.batch_size=8", "rl.steps=6", "rl.prompts=4",
                          "rl.group_size=4", "rl.demonstrations=3", "rl.student.updates=1", "rl.student.traces=3",
                          "rl.eval_every=2", "rl.trace_every=1"}) {
    go();
    Saved begun = saved(8 + 1);
    for (Json& difficulty : begun.state.extra.at(kDifficulties)) {
      difficulty["rung"] = 1;
      difficulty["mastered"] = 1;
      difficulty["reference"] = 0.9;
      difficulty["overall"] = {60, 54};
    }
    begun.state.extra.at("/progress/extra/apprentice/rung"_json_pointer) = -1;
    replace_by(begun);
    Saved gated = saved(8 + 2);
    gated.state.extra.at("/progress/extra/apprentice/steps"_json_pointer) = 8;  // the gate follows step 10
    replace_by(gated);
  }
};

TEST(SavedState, OfReinforcementLearningIsComplete) {
  const Reinforced run;
  const Json extra = run.saved(Reinforced::kMiddle).state.extra.at("/progress/extra"_json_pointer);
  EXPECT_GT(extra.at("replayed"), 0);
  EXPECT_GT(extra.at("/apprentice/rung"_json_pointer), 1);
  EXPECT_GT(extra.at("/apprentice/practised"_json_pointer), 0);
  EXPECT_GT(extra.at("/apprentice/examined"_json_pointer), 0);
  EXPECT_GT(extra.at("/problems/next"_json_pointer), (int64_t{1} << 32) + 4 * 4) << "no group was replaced";
}

// A run that is stopped during the gate saves its step with a record that has not been written yet.
TEST(SavedState, ARecordThatIsPendingIsRestored) {
  const Reinforced run;
  Saved stopped = run.stopped_at("student", run.saved(Reinforced::kMiddle - 1));
  ASSERT_EQ(stopped.info.step, Reinforced::kMiddle);
  const Json pending = stopped.state.extra.at("/progress/pending"_json_pointer);
  ASSERT_TRUE(pending.is_object());
  Keys keys(run, stopped);
  keys.try_without("/progress/pending"_json_pointer);
  for (const auto& [name, value] : pending.items())
    if (!support::tells_time(name)) keys.try_altered("/progress/pending"_json_pointer / name);
  keys.try_altered("/progress/extra/apprentice/loss"_json_pointer);
  keys.try_altered("/progress/extra/apprentice/exam_due"_json_pointer);
}

TEST(SavedState, TensorsOfReinforcementLearningAreRestored) {
  const Reinforced run;
  Keys(run, Reinforced::kMiddle).try_tensors();
}

TEST(SavedState, OfReinforcementLearningIsRestored) {
  const Reinforced run;
  Keys(run, Reinforced::kMiddle).try_the_rest();
}

}  // namespace
}  // namespace terse::launch
