// A process that was started without a launcher is a world of one rank.
#include "trainer/parallel/world.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace terse::trainer {
namespace {

struct Variable {
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }
  const char* name_;
};

TEST(World, AProgramStartedByItselfIsOneRank) {
  ASSERT_FALSE(launched_by_mpi());
  const auto world = World::start({.backend = "nccl"});  // one rank ignores the backend
  EXPECT_EQ(world->place().ranks, 1);
  EXPECT_EQ(world->place().nodes, 1);
  EXPECT_STREQ(world->group(torch::kCPU).backend(), "local");
  EXPECT_EQ(&world->group(torch::kCPU), &world->group(torch::kCPU));
  EXPECT_THROW(world->group(torch::kMeta), std::logic_error);
}

TEST(World, LaunchersAreKnownByTheirEnvironment) {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"}) {
    const Variable set(name, "0");
    EXPECT_TRUE(launched_by_mpi()) << name;
  }
  EXPECT_FALSE(launched_by_mpi());
}

TEST(World, TheRankIsKnownBeforeMpi) {
  EXPECT_EQ(rank_of_launch(), 0);
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"}) {
    const Variable set(name, "11");
    EXPECT_EQ(rank_of_launch(), 11) << name;
  }
}

TEST(World, TasksOfSrunThatCannotFindEachOtherAreRefused) {
  const Variable task("SLURM_PROCID", "1");
  EXPECT_EQ(World::start({})->place().ranks, 1);  // a batch script is no task of srun
  const Variable tasks("SLURM_STEP_NUM_TASKS", "2");
  try {
    World::start({});
    FAIL() << "not refused";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("srun --mpi=pmix"), std::string::npos) << error.what();
  }
}

TEST(WorldDeathTest, AbortPrintsAndExits) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(World::start({})->abort(65, "no such shard"), testing::ExitedWithCode(65), "^terse: no such shard\n$");
}

}  // namespace
}  // namespace terse::trainer
