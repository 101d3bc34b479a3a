// Tests when starts without progress are a crash loop, and when they only look like one.
#include "launch/run/starts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/run/environment.h"
#include "tests/launch/program.h"

namespace terse::launch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class Starts : public ::testing::Test {
 protected:
  void start(bool retry = false) { record_start(folder_.path(), {}, {"terse", "run"}, retry); }
  void starts(int count) {
    for (int i = 0; i < count; ++i) start();
  }
  void checkpoint(const std::string& name) { std::filesystem::create_directories(folder_ / "checkpoints" / name); }
  std::string refusal() const {
    try {
      refuse_crash_loop(folder_.path());
    } catch (const NoProgress& error) {
      return error.what();
    }
    return "";
  }
  testing::TemporaryFolder folder_;
};

TEST_F(Starts, FewerThanThreeAreNoLoop) {
  EXPECT_EQ(refusal(), "");
  starts(2);
  EXPECT_EQ(refusal(), "");
}

TEST_F(Starts, ThreeFromTheSameCheckpointAre) {
  checkpoint("step-40");
  starts(3);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("step-40"), HasSubstr("3 starts"), HasSubstr("--retry")));
  EXPECT_THAT(refusal(), HasSubstr(folder_.path().string()));
}

TEST_F(Starts, ThreeWithoutACheckpointAre) {
  starts(3);
  EXPECT_THAT(refusal(), HasSubstr("without a checkpoint"));
}

TEST_F(Starts, ANewerCheckpointIsProgress) {
  starts(3);
  checkpoint("step-9");
  EXPECT_EQ(refusal(), "");
  starts(2);
  checkpoint("step-10");  // newer by number, not by name
  starts(2);
  EXPECT_EQ(refusal(), "");
  start();
  EXPECT_THAT(refusal(), HasSubstr("step-10"));
}

TEST_F(Starts, OneThatSavedOnASignalBreaksTheRow) {
  starts(2);
  record_saved(folder_.path());
  EXPECT_EQ(refusal(), "");
  starts(2);
  EXPECT_EQ(refusal(), "");
  start();
  EXPECT_NE(refusal(), "");
}

TEST_F(Starts, ARetryCountsAsTheFirst) {
  starts(3);
  start(/*retry=*/true);
  EXPECT_EQ(refusal(), "");
  start();
  EXPECT_EQ(refusal(), "");
  start();
  EXPECT_NE(refusal(), "");
}

TEST_F(Starts, ARecordThatCannotBeReadOrIsOlderHoldsNobodyUp) {
  for (const char* text : {"", "{", "[]", R"({"starts": 3})", R"({"starts": [1, 2, 3]})",
                           R"({"starts": [{"pid": 1}, {"pid": 2}, {"pid": 3}]})"}) {
    folder_.write("environment.json", text);
    EXPECT_EQ(refusal(), "") << text;
    record_saved(folder_.path());
  }
}

}  // namespace
}  // namespace terse::launch
