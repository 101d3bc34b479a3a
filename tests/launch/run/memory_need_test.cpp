// What a run says about its memory before it starts.
#include "launch/run/memory_need.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rl/tasks/task.h"

namespace terse::launch {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MemoryNeedOfARun : public ::testing::Test {
 protected:
  MemoryNeedOfARun() {
    config_.stages = {"sft", "rl", "eval"};
    config_.sft.steps = config_.rl.steps = 10;
    config_.task.name = "chain7";
    vocabulary_.task = rl::open_task(config_.task, 1);
    vocabulary_.chat = vocabulary_.task->chat();
  }
  MemoryNeed need(int64_t total, int64_t group = 0, const trainer::Place& place = {}) const {
    return memory_need(config_, vocabulary_, place,
                       {.total_bytes = total, .available_bytes = total, .group_limit_bytes = group});
  }
  configs::RunConfig config_ = rl::default_config();
  rl::Vocabulary vocabulary_;
};

TEST_F(MemoryNeedOfARun, NamesEachStageAndWhatTheMachineHas) {
  const MemoryNeed said = need(int64_t{8} << 30);
  EXPECT_THAT(said.text, AllOf(HasSubstr("memory: sft needs up to "), HasSubstr(", rl needs up to "),
                               HasSubstr("; the machine has 8.0 GiB")));
  EXPECT_THAT(said.warnings, IsEmpty());
}

TEST_F(MemoryNeedOfARun, WarnsWhenTheControlGroupHasLess) {
  const MemoryNeed said = need(int64_t{8} << 30, int64_t{200} << 20);
  EXPECT_THAT(said.text, HasSubstr("; the container or job has 200.0 MiB"));
  EXPECT_THAT(said.warnings, ElementsAre(HasSubstr("sft does not fit"), HasSubstr("rl does not fit")));
}

TEST_F(MemoryNeedOfARun, RanksOfANodeShareItsMemory) {
  const MemoryNeed said =
      need(int64_t{8} << 30, 0, {.rank = 0, .ranks = 8, .node = 0, .nodes = 2, .local_rank = 0, .host = ""});
  EXPECT_THAT(said.text, AllOf(HasSubstr(" on each rank; the machine has 8.0 GiB for 4 ranks")));
  EXPECT_THAT(
      need(int64_t{1} << 30, 0, {.rank = 0, .ranks = 8, .node = 0, .nodes = 2, .local_rank = 0, .host = ""}).warnings,
      ::testing::SizeIs(2));
}

TEST_F(MemoryNeedOfARun, ARunThatOnlyEvaluatesSaysNothing) {
  config_.stages = {"eval"};
  EXPECT_EQ(need(int64_t{8} << 30).text, "");
}

}  // namespace
}  // namespace terse::launch
