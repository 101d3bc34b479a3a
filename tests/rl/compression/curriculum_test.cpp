// Compares the levels of chain7 with traces and lengths written by hand, and tests where the curriculum ends.
#include "rl/compression/curriculum.h"

#include <gtest/gtest.h>

#include "tests/support/problems.h"

namespace terse::rl {
namespace {

class CurriculumTest : public ::testing::Test {
 protected:
  std::string text(int64_t level) const {
    // 3 +5 > 1, *2 > 2, +6 > 1, *3 > 3
    const Problem problem = support::chain_problem("3+5*2+6*3", "3");
    return task->tokenizer().decode(curriculum.trace(problem, level));
  }
  std::unique_ptr<TokenizedTask> task = open_task(default_config().task, 1);
  Curriculum curriculum{*task};
};

TEST_F(CurriculumTest, TaughtFormsThatThinkComeFirst) {
  EXPECT_EQ(curriculum.count(), 4 + 7);  // recheck, verbose, compact, states; then strides 2 to 8
  EXPECT_EQ(text(2), "+51*22+61*33 </think> 3 <eos>");
  EXPECT_EQ(text(3), "1213 </think> 3 <eos>");
}

TEST_F(CurriculumTest, ThenEverySecondThirdAndSoOnStepButNeverTheLast) {
  EXPECT_EQ(text(4), "2 </think> 3 <eos>") << "the fourth state is the answer";
  EXPECT_EQ(text(5), "1 </think> 3 <eos>");
  EXPECT_EQ(text(6), "</think> 3 <eos>");
  EXPECT_EQ(text(10), "</think> 3 <eos>");
}

TEST_F(CurriculumTest, LengthsAreThoseOfTheTraces) {
  EXPECT_EQ(curriculum.lengths(8), (std::vector<double>{100, 51, 27, 11, 6, 5, 4, 4, 4, 4, 3}));
  EXPECT_EQ(curriculum.lengths(1), (std::vector<double>{16, 9, 6, 4, 3, 3, 3, 3, 3, 3, 3}));
}

TEST_F(CurriculumTest, LengthsOfTheHardestProblemsThatAConfigAllowsAreThoseOfTheirTraces) {
  configs::Task longest = default_config().task;
  for (const char* option : {"k_min", "k_max", "align_to"}) longest.options.set(option, 1000);
  const auto hard = open_task(longest, 1);
  const Curriculum levels(*hard);
  const Problem problem = hard->problem(Split::kTrain, 0);
  ASSERT_EQ(levels.count(), 4 + 999);
  for (const int64_t level : {0, 3, 4, 5, 500, 1001, 1002})
    EXPECT_EQ(levels.lengths(1000)[static_cast<size_t>(level)], std::ssize(levels.trace(problem, level))) << level;
}

TEST_F(CurriculumTest, LastIsWhereADifficultyCannotBecomeShorter) {
  EXPECT_EQ(curriculum.last(1), 4);
  EXPECT_EQ(curriculum.last(3), 6 - 1);
  EXPECT_EQ(curriculum.last(8), 10);
}

}  // namespace
}  // namespace terse::rl
