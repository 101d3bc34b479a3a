// Tests the limits that are read from control groups of both versions, and the number of threads that follows from
// them.
#include "trainer/control_group.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temporary_folder.h"

namespace terse::trainer {
namespace {

class ControlGroup : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const {
    const auto path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  ControlGroupFiles files() const { return {folder_.path() / "own", folder_.path() / "groups"}; }
  support::TemporaryFolder folder_;
};

TEST_F(ControlGroup, WithoutOneThereIsNoLimit) {
  EXPECT_EQ(core_quota(files()), 0);
  EXPECT_EQ(memory_limit(1000, files()), 0);
  write("own", "0::/job/step\n");
  EXPECT_EQ(core_quota(files()), 0);
  write("groups/job/step/cpu.max", "max 100000\n");
  write("groups/job/step/memory.max", "max\n");
  EXPECT_EQ(core_quota(files()), 0);
  EXPECT_EQ(memory_limit(1000, files()), 0);
}

TEST_F(ControlGroup, OfVersionTwoTheLeastOfItselfAndItsParentsHolds) {
  write("own", "0::/job/step\n");
  write("groups/job/step/cpu.max", "800000 100000\n");
  EXPECT_EQ(core_quota(files()), 8);
  write("groups/job/cpu.max", "250000 100000\n");
  EXPECT_EQ(core_quota(files()), 2.5);
  write("groups/job/memory.max", "700\n");
  EXPECT_EQ(memory_limit(1000, files()), 700);
  EXPECT_EQ(memory_limit(700, files()), 0) << "no less than the machine has";
}

TEST_F(ControlGroup, OfVersionOneTheControllersFoldersCount) {
  write("own", "4:memory:/job\n3:cpu,cpuacct:/job\n");
  write("groups/cpu/job/cpu.cfs_quota_us", "150000\n");
  write("groups/cpu/job/cpu.cfs_period_us", "100000\n");
  write("groups/cpu/cpu.cfs_quota_us", "-1\n");
  write("groups/memory/job/memory.limit_in_bytes", "500\n");
  EXPECT_EQ(core_quota(files()), 1.5);
  EXPECT_EQ(memory_limit(1000, files()), 500);
}

TEST(UsableCores, AreThoseAllowedOrWholeOnesOfTheQuota) {
  EXPECT_EQ(usable_cores(16, 0), 16);
  EXPECT_EQ(usable_cores(16, 4), 4);
  EXPECT_EQ(usable_cores(16, 4.9), 4);
  EXPECT_EQ(usable_cores(16, 0.5), 1);
  EXPECT_EQ(usable_cores(2, 64), 2);
  EXPECT_EQ(usable_cores(1, 1.5), 1);
}

}  // namespace
}  // namespace terse::trainer
