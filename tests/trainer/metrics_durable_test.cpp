// What a checkpoint refers to has been handed to the disk before it: the lines of a file, and the file's own name.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <mutex>
#include <set>

#include "data/durable.h"
#include "tests/support/temporary_folder.h"
#include "trainer/metrics/line_files.h"

namespace {

using Inode = std::pair<dev_t, ino_t>;
std::set<Inode>& synced() {
  static std::set<Inode> all;
  return all;
}

int note(int fd, long call) {
  static std::mutex mutex;  // checkpoints are written in the background
  struct stat info {};
  const std::lock_guard lock(mutex);
  if (::fstat(fd, &info) == 0) synced().insert({info.st_dev, info.st_ino});
  return static_cast<int>(::syscall(call, fd));
}

bool is_synced(const std::filesystem::path& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && synced().contains({info.st_dev, info.st_ino});
}

}  // namespace

// These stand in for the system's in this program.
extern "C" int fsync(int fd) {
  return note(fd, SYS_fsync);
}
extern "C" int fdatasync(int fd) {
  return note(fd, SYS_fdatasync);
}

namespace terse::trainer {
namespace {

TEST(Durable, APositionIsOfLinesAndNamesOnDisk) {
  const support::TemporaryFolder folder;
  const std::filesystem::path run = folder.path() / "run";
  std::filesystem::create_directory(run);
  LineFiles files(run, {"metrics.jsonl", "traces/rl.jsonl", "traces/sft.jsonl"});
  files.append("metrics.jsonl", "{}");
  files.append("traces/rl.jsonl", "{}");
  synced().clear();
  EXPECT_EQ(files.sync(),
            (LineFiles::Positions{{"metrics.jsonl", 3}, {"traces/rl.jsonl", 3}, {"traces/sft.jsonl", 0}}));
  for (const std::filesystem::path& path : {run, run / "metrics.jsonl", run / "traces", run / "traces/rl.jsonl"})
    EXPECT_TRUE(is_synced(path)) << path;
}

TEST(Durable, NewFoldersAreOnDiskUnderTheirNames) {
  const support::TemporaryFolder folder;
  synced().clear();
  data::create_folders(folder.path() / "a/b");
  EXPECT_TRUE(is_synced(folder.path()));
  EXPECT_TRUE(is_synced(folder.path() / "a"));
  synced().clear();
  data::write_durably(folder.path() / "c/file", "text");
  for (const char* path : {"", "c", "c/file"}) EXPECT_TRUE(is_synced(folder.path() / path)) << path;
}

}  // namespace
}  // namespace terse::trainer
