// A run folder is on disk under its name before anything relies on it.
#include <gtest/gtest.h>

#include "launch/run/run_dir.h"
#include "rl/tasks/task.h"
#include "tests/launch/program.h"
#include "tests/support/synced_files.h"

namespace terse::launch {
namespace {

TEST(RunDirDurable, ANewFolderSurvivesAPowerLoss) {
  const testing::TemporaryFolder folder;
  configs::RunConfig config = rl::default_config();
  config.run.dir = (folder / "run").string();
  support::SyncedFiles& synced = support::SyncedFiles::all();
  synced.clear();
  const RunDir dir(config);
  EXPECT_TRUE(synced.contain(folder.path()));
  synced.clear();
  dir.record(config, {"terse"});
  for (const char* name : {"run", "run/config.yaml", "run/environment.json"})
    EXPECT_TRUE(synced.contain(folder / name)) << name;
}

}  // namespace
}  // namespace terse::launch
