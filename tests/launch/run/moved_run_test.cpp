// A run folder is complete in itself. When it is copied elsewhere, or its text is changed or gone, it gives the same
// results as before or reports what has changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/sha256.h"
#include "tests/launch/program.h"

namespace terse::launch::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class MovedRun : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.write("a.yaml", R"(stages: [pretrain]
run: {name: a, device: cpu, threads: 1, log_every: 1}
tokenizer: {kind: char}
data: {train: corpus.txt}
model: {layers: 1, hidden_size: 16, heads: 2, intermediate_size: 32, max_seq_len: 64}
task: {k_min: 1, k_max: 2, align_to: 2}
pretrain: {steps: 300, batch_size: 4, seq_len: 16, eval_every: 50, eval_batches: 2, optimizer: {lr: 0.01}}
sft: {steps: 5, batch_size: 4}
eval: {problems_per_difficulty: 2, samples: 2, quick_problems_per_difficulty: 1}
checkpoint: {every: 0}
)");
    write_text("corpus.txt", "3+2=5;");
  }
  void write_text(const std::string& name, const std::string& line) const {
    std::string text;
    for (int i = 0; i < 100; ++i) text += line;
    folder_.write(name, text);
  }
  Result here(const std::vector<std::string>& arguments) const { return terse(arguments, {.folder = folder_.path()}); }
  static std::vector<std::string> joined(std::vector<std::string> all, const std::vector<std::string>& more) {
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  // Starts a run in `dir`, waits for its first record, and stops it with a checkpoint.
  void begin(const std::string& dir, const std::vector<std::string>& more = {}) const {
    Program program(joined({"run", "a.yaml", "--run-dir", dir}, more), {.folder = folder_.path()});
    ASSERT_TRUE(program.wait_until([&] { return !read_file(folder_ / dir / "metrics.jsonl").empty(); }));
    program.signal(SIGUSR1);
    const Result result = program.wait();
    ASSERT_EQ(result.code, 75) << result.out << result.err;
  }
  static std::vector<nlohmann::json> metrics(const fs::path& dir) {
    std::vector<nlohmann::json> records;
    std::istringstream lines(read_file(dir / "metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      nlohmann::json record = nlohmann::json::parse(line), kept;
      for (const auto& [name, value] : record.items())
        if (!name.starts_with("time") && !name.starts_with("engine/") && name != "step_time" && name != "mfu" &&
            !name.ends_with("tokens_per_s"))
          kept[name] = value;
      records.push_back(kept);
    }
    return records;
  }
  // Copies the stopped run `dir` elsewhere, removes the text and the run, and uses the copy from a third place.
  void expect_whole_elsewhere(const std::vector<std::string>& settings, bool task) const {
    ASSERT_EQ(here(joined({"run", "a.yaml", "--run-dir", "whole"}, settings)).code, 0);
    begin("stopped", settings);
    const std::vector<std::string> generate = {"--max-new-tokens", "8", "--device", "cpu"};
    const std::string before = here(joined({"generate", "stopped", "3+2="}, generate)).out;
    const TemporaryFolder other, third;
    const fs::path copy = other / "copy";
    fs::copy(folder_ / "stopped", copy, fs::copy_options::recursive);
    fs::remove_all(folder_ / "stopped");
    fs::remove(folder_ / "corpus.txt");
    const auto there = [&](const std::vector<std::string>& arguments) {
      const Result result = terse(arguments, {.folder = third.path()});
      EXPECT_EQ(result.code, 0) << arguments.front() << ": " << result.out << result.err;
      return result;
    };
    EXPECT_EQ(there(joined({"generate", copy, "3+2="}, generate)).out, before);
    there({"verify", copy});
    there({"report", copy});
    if (task) there({"eval", copy, "--device", "cpu"});
    EXPECT_THAT(there({"plan", copy / "config.yaml"}).out, HasSubstr("pretrain"));
    const Result resumed = there({"run", copy / "config.yaml", "--run-dir", copy});
    EXPECT_THAT(resumed.err,
                HasSubstr("data.train: corpus.txt no longer exists; the run continues with the token store"));
    EXPECT_EQ(metrics(copy), metrics(folder_ / "whole"));
    there({"verify", copy});
  }
  // A second start after `change` must name the file and end with exit code 78.
  void expect_refused(const std::string& message, const std::vector<std::string>& more,
                      const std::function<void()>& change) const {
    fs::remove_all(folder_ / "r");
    begin("r", more);
    change();
    const Result result = here(joined({"run", "a.yaml", "--run-dir", "r"}, more));
    EXPECT_EQ(result.code, 78) << result.out << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr(message), HasSubstr("since the run began"), HasSubstr("--run-dir")));
  }
  // Takes away what the checkpoints of an older build lack: the files that describe them.
  void make_old(const fs::path& run) const {
    for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
      if (!entry.is_directory()) continue;
      const fs::path& checkpoint = entry.path();
      auto manifest = nlohmann::json::parse(read_file(checkpoint / "MANIFEST.json"));
      nlohmann::json kept = nlohmann::json::array();
      for (const nlohmann::json& file : manifest["files"]) {
        const std::string name = file["name"];
        if (name == "extra.json" || name.ends_with(".h5"))
          kept.push_back(file);
        else
          fs::remove(checkpoint / name);
      }
      manifest["files"] = kept;
      const std::string text = manifest.dump(1) + "\n";
      std::ofstream(checkpoint / "MANIFEST.json", std::ios::binary) << text;
      std::ofstream(checkpoint / "MANIFEST.sha256", std::ios::binary) << sha256_bytes(text) << "  MANIFEST.json\n";
    }
  }
  TemporaryFolder folder_;
};

TEST_F(MovedRun, OfTextNeedsNothingOutsideItsFolder) {
  expect_whole_elsewhere({}, false);
}

TEST_F(MovedRun, OfATaskNeedsNothingOutsideItsFolder) {
  expect_whole_elsewhere({"--set", "stages=[pretrain, sft]", "--set", "tokenizer.kind=auto"}, true);
}

TEST_F(MovedRun, SpeaksItsOwnVocabularyWhateverItsTextIsNow) {
  begin("r");
  const std::vector<std::string> more = {"--max-new-tokens", "20", "--device", "cpu"};
  const Result before = here(joined({"generate", "r", "3"}, more));
  ASSERT_EQ(before.code, 0) << before.err;
  write_text("corpus.txt", "xyzuvw");
  EXPECT_EQ(here(joined({"generate", "r", "3"}, more)).out, before.out);
  const Result foreign = here(joined({"generate", "r", "x"}, more));
  EXPECT_EQ(foreign.code, 64);
  EXPECT_THAT(foreign.err, HasSubstr("'x'"));
}

TEST_F(MovedRun, ChangedInputFilesAreNamed) {
  expect_refused("data.train: corpus.txt", {}, [&] { write_text("corpus.txt", "5=2+3;"); });
  write_text("val.txt", "2+3=5;");
  expect_refused("data.val: val.txt", {"--set", "data.val=val.txt"}, [&] { write_text("val.txt", "2+3=5=;"); });
  folder_.write("all.txt", "0123456789+=;");
  ASSERT_EQ(here({"tokenizer", "train", "all.txt", "-o", "all.json"}).code, 0);
  expect_refused("tokenizer.path: all.json", {"--set", "tokenizer.path=all.json"}, [&] {
    folder_.write("all.txt", "abcdefghij+=;");  // the same number of characters
    ASSERT_EQ(here({"tokenizer", "train", "all.txt", "-o", "all.json", "--overwrite"}).code, 0);
  });
}

TEST_F(MovedRun, ATokenizerFileThatIsGoneIsNotMissed) {
  folder_.write("all.txt", "0123456789+=;");
  ASSERT_EQ(here({"tokenizer", "train", "all.txt", "-o", "all.json"}).code, 0);
  begin("r", {"--set", "tokenizer.path=all.json"});
  fs::remove(folder_ / "all.json");
  fs::remove(folder_ / "corpus.txt");
  EXPECT_EQ(here({"generate", "r", "9", "--max-new-tokens", "3", "--device", "cpu"}).code, 0);
  const Result resumed = here({"run", "a.yaml", "--run-dir", "r", "--set", "tokenizer.path=all.json"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
}

TEST_F(MovedRun, ATokenStoreMayMoveButNotBeMissing) {
  ASSERT_EQ(here({"data", "build", "corpus.txt", "-o", "corpus.h5", "--tokenizer", "char"}).code, 0);
  begin("r", {"--set", "data.train=corpus.h5"});
  fs::create_directory(folder_ / "elsewhere");
  fs::rename(folder_ / "corpus.h5", folder_ / "elsewhere/corpus.h5");
  const Result missing = here({"run", "a.yaml", "--run-dir", "r", "--set", "data.train=corpus.h5"});
  EXPECT_EQ(missing.code, 78);
  EXPECT_THAT(missing.err, AllOf(HasSubstr("corpus.h5 no longer exists"), HasSubstr("--set data.train=FILE")));
  const Result moved = here({"run", "a.yaml", "--run-dir", "r", "--set", "data.train=elsewhere/corpus.h5"});
  EXPECT_EQ(moved.code, 0) << moved.err;
}

TEST_F(MovedRun, BeforeItsFirstCheckpointItBeginsWithTheTextAsItIs) {
  Program program({"run", "a.yaml", "--run-dir", "r"}, {.folder = folder_.path()});
  ASSERT_TRUE(program.wait_until([&] { return !read_file(folder_ / "r/metrics.jsonl").empty(); }));
  program.signal(SIGKILL);
  ASSERT_EQ(program.wait().code, 128 + SIGKILL);
  write_text("corpus.txt", "xyzuvw");
  const Result again = here({"run", "a.yaml", "--run-dir", "r"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(here({"generate", "r", "x", "--max-new-tokens", "3", "--device", "cpu"}).code, 0);
  EXPECT_EQ(here({"verify", "r"}).code, 0);
}

TEST_F(MovedRun, AForeignTokenizerIsFound) {
  begin("r");
  folder_.write("other.txt", "abcdef");
  ASSERT_EQ(here({"tokenizer", "train", "other.txt", "-o", "other.json"}).code, 0);
  const std::vector<std::string> generate = {"generate", "r", "3", "--max-new-tokens", "20", "--device", "cpu"};
  const Result before = here(generate);
  fs::copy_file(folder_ / "other.json", folder_ / "r/tokenizer.json", fs::copy_options::overwrite_existing);
  EXPECT_EQ(here(generate).out, before.out) << "a checkpoint has its own";
  make_old(folder_ / "r");
  EXPECT_EQ(here({"generate", "r", "a", "--device", "cpu"}).code, 65);
  const Result verified = here({"verify", "r"});
  EXPECT_EQ(verified.code, 65);
  EXPECT_THAT(verified.out, HasSubstr("the newest checkpoint was trained with"));
}

TEST_F(MovedRun, ACheckpointOfAnOlderBuildAloneSaysWhatItLacks) {
  begin("r");
  make_old(folder_ / "r");
  const TemporaryFolder other;
  fs::path copy;
  for (const auto& entry : fs::directory_iterator(folder_ / "r/checkpoints")) {
    if (!entry.is_directory()) continue;
    copy = other / entry.path().filename().string();
    fs::copy(entry.path(), copy, fs::copy_options::recursive);
  }
  const Result alone = terse({"generate", copy, "3", "--device", "cpu"});
  EXPECT_EQ(alone.code, 64);
  EXPECT_THAT(alone.err, AllOf(HasSubstr("config.yaml"), HasSubstr("copy the whole run folder")));
}

TEST_F(MovedRun, OfAnOlderBuildSpeaksTheTokenizerOfItsStores) {
  begin("r");
  const std::vector<std::string> generate = {"generate", "r", "3", "--max-new-tokens", "20", "--device", "cpu"};
  const Result before = here(generate);
  make_old(folder_ / "r");
  EXPECT_EQ(here(generate).out, before.out);
  EXPECT_EQ(here({"verify", "r"}).code, 0);
  fs::remove(folder_ / "r/tokenizer.json");
  fs::remove(folder_ / "corpus.txt");
  EXPECT_EQ(here(generate).out, before.out);
  fs::remove_all(folder_ / "r/data");
  const Result lost = here(generate);
  EXPECT_EQ(lost.code, 78);
  EXPECT_THAT(lost.err, HasSubstr("tokenizer.json"));
}

}  // namespace
}  // namespace terse::launch::testing
