// A checkpoint folder that was copied away from its run works with every command, and with one flipped bit in any file
// every command ends with exit code 65.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/launch/program.h"

namespace terse::launch::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class CopiedCheckpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.write("a.yaml", tiny_config());
    const Result result = here({"run", "a.yaml", "--run-dir", "run"});
    ASSERT_EQ(result.code, 0) << result.out << result.err;
    fs::copy(folder_ / "run/checkpoints/step-6", copy_, fs::copy_options::recursive);
  }
  Result here(const std::vector<std::string>& arguments) const { return terse(arguments, {.folder = folder_.path()}); }
  static std::vector<std::string> eval(const fs::path& target) {
    return {"eval", target, "--json", "--problems", "3", "--device", "cpu"};
  }
  static std::vector<std::string> generate(const fs::path& target) {
    return {"generate", target, "<bos> 3+2*5=", "--samples", "2", "--json", "--device", "cpu"};
  }
  std::vector<std::string> tune(const std::string& name) const {
    return {"run", "a.yaml", "--run-dir", name, "--set", "stages=[sft]", "--set", "model.init=" + copy_.string()};
  }
  TemporaryFolder folder_, elsewhere_;
  fs::path copy_ = elsewhere_ / "step-6";
};

TEST_F(CopiedCheckpoint, WorksWithEveryCommand) {
  const Result evaluated = here(eval("run")), text = here(generate("run"));
  EXPECT_EQ(evaluated.code, 0) << evaluated.err;
  EXPECT_EQ(text.code, 0) << text.err;
  fs::remove_all(folder_ / "run");
  EXPECT_EQ(here(eval(copy_)).out, evaluated.out);
  EXPECT_EQ(here(generate(copy_)).out, text.out);
  const Result verified = here({"verify", copy_});
  EXPECT_EQ(verified.code, 0) << verified.out << verified.err;
  EXPECT_THAT(verified.out, HasSubstr("step 6 (rl)"));
  const Result tuned = here(tune("tuned"));
  EXPECT_EQ(tuned.code, 0) << tuned.out << tuned.err;
  EXPECT_THAT(read_file(folder_ / "tuned/log.txt"), HasSubstr("weights of " + copy_.string()));
  EXPECT_EQ(here({"verify", "tuned"}).code, 0);
}

TEST_F(CopiedCheckpoint, WithAFlippedBitInAnyFileIsRefusedByEveryCommand) {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(copy_)) {
    const std::string bytes = read_file(entry.path());
    std::string flipped = bytes;
    flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 4);
    std::ofstream(entry.path(), std::ios::binary) << flipped;
    for (const auto& command : {eval(copy_), generate(copy_), std::vector<std::string>{"verify", copy_},
                                tune("damaged-" + std::to_string(files))}) {
      const Result result = here(command);
      EXPECT_EQ(result.code, 65) << command.front() << " " << entry.path() << result.out << result.err;
    }
    std::ofstream(entry.path(), std::ios::binary) << bytes;
    ++files;
  }
  EXPECT_EQ(files, 7);
  EXPECT_EQ(here(eval(copy_)).code, 0);
}

TEST_F(CopiedCheckpoint, ADamagedOneInARunIsNamedWhereAnOlderOneIsUsed) {
  const fs::path file = folder_ / "run/checkpoints/step-6/rank-0.h5";
  std::string bytes = read_file(file);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  std::ofstream(file, std::ios::binary) << bytes;
  for (const auto& command : {eval("run"), generate("run")}) {
    const Result result = here(command);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.err,
                AllOf(HasSubstr("note: damaged checkpoint step-6: rank-0.h5"), HasSubstr("using step-5 instead")));
  }
}

// It holds a config.yaml like a run folder, but training there would change it.
TEST_F(CopiedCheckpoint, IsNoRunFolder) {
  const Result result = here({"run", copy_ / "config.yaml", "--run-dir", copy_});
  EXPECT_EQ(result.code, 78);
  EXPECT_THAT(result.err, AllOf(HasSubstr("it is a checkpoint"), HasSubstr("model.init")));
  EXPECT_EQ(here({"verify", copy_}).code, 0);
}

TEST_F(CopiedCheckpoint, AsModelInitMayBeGoneOnceTheRunHasACheckpoint) {
  const Result begun = here(tune("tuned"));
  ASSERT_EQ(begun.code, 0) << begun.err;
  fs::rename(copy_, elsewhere_ / "moved");
  fs::remove(folder_ / "tuned/summary.json");
  const Result again = here(tune("tuned"));
  EXPECT_EQ(again.code, 0) << again.err;
  const Result anew = here(tune("anew"));
  EXPECT_EQ(anew.code, 78);
  EXPECT_THAT(anew.err, HasSubstr("model.init: no such file or folder"));
}

}  // namespace
}  // namespace terse::launch::testing
