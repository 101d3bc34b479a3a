// Tests that a run is refused when its ranks are too few for the layout.
#include "rl/async/split_world.h"

#include <gtest/gtest.h>

#include "base/errors.h"

namespace terse::rl {
namespace {

TEST(Ranks, TooFewForTheLayoutAreRefused) {
  configs::RunConfig run;
  run.stages = {"rl"};
  run.parallel.layout = "split";
  EXPECT_NO_THROW(check_ranks(run, 2, 1));
  EXPECT_THROW(check_ranks(run, 1, 1), ConfigError);
  run.parallel.rollout_ranks = 2;
  EXPECT_THROW(check_ranks(run, 2, 1), ConfigError);
  EXPECT_NO_THROW(check_ranks(run, 3, 1));
  run.stages = {"sft"};
  EXPECT_NO_THROW(check_ranks(run, 1, 1)) << "only rl splits";
  run.parallel = {};
  run.parallel.hierarchical = true;
  EXPECT_NO_THROW(check_ranks(run, 4, 2));
  EXPECT_THROW(check_ranks(run, 5, 2), ConfigError);
}

}  // namespace
}  // namespace terse::rl
