// Lines that a checkpoint refers to, and the names of their files, are synced to disk before the checkpoint.
#include "base/durable.h"

#include <gtest/gtest.h>

#include "tests/support/synced_files.h"
#include "tests/support/temporary_folder.h"
#include "trainer/metrics/line_files.h"

namespace terse::trainer {
namespace {

TEST(Durable, APositionIsOfLinesAndNamesOnDisk) {
  const support::TemporaryFolder folder;
  const std::filesystem::path run = folder.path() / "run";
  std::filesystem::create_directory(run);
  LineFiles files(run, {"metrics.jsonl", "traces/rl.jsonl", "traces/sft.jsonl"});
  files.append("metrics.jsonl", "{}");
  files.append("traces/rl.jsonl", "{}");
  support::SyncedFiles::all().clear();
  EXPECT_EQ(files.sync(),
            (LineFiles::Positions{{"metrics.jsonl", 3}, {"traces/rl.jsonl", 3}, {"traces/sft.jsonl", 0}}));
  for (const std::filesystem::path& path : {run, run / "metrics.jsonl", run / "traces", run / "traces/rl.jsonl"})
    EXPECT_TRUE(support::SyncedFiles::all().contain(path)) << path;
}

TEST(Durable, NewFoldersAreOnDiskUnderTheirNames) {
  const support::TemporaryFolder folder;
  support::SyncedFiles::all().clear();
  make_folders(folder.path() / "a/b");
  EXPECT_TRUE(support::SyncedFiles::all().contain(folder.path()));
  EXPECT_TRUE(support::SyncedFiles::all().contain(folder.path() / "a"));
  support::SyncedFiles::all().clear();
  write_durably(folder.path() / "c/file", "text");
  for (const char* path : {"", "c", "c/file"})
    EXPECT_TRUE(support::SyncedFiles::all().contain(folder.path() / path)) << path;
}

}  // namespace
}  // namespace terse::trainer
