// What a durable write does to the disk, in which order: the linker puts the functions below between terse and libc
// (see tests/CMakeLists.txt).
#include "data/durable.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cerrno>

#include "data/build_store.h"
#include "data/byte_tokenizer.h"
#include "data/errors.h"
#include "tests/data/support.h"

namespace {

std::vector<std::string>* events = nullptr;  // of the calling test; null: nobody looks
int failing_sync = -1;                       // which sync fails, counted from 0; -1: none
int syncs = 0;

}  // namespace

extern "C" {

int __real_fsync(int fd);
int __real_rename(const char* from, const char* to);

int __wrap_fsync(int fd) {
  if (events == nullptr) return __real_fsync(fd);
  const auto path = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd));
  struct stat status = {};
  fstat(fd, &status);
  events->push_back(S_ISDIR(status.st_mode) ? "sync folder " + path.filename().string()
                                            : fmt::format("sync file of {} bytes", status.st_size));
  if (syncs++ == failing_sync) {
    errno = EIO;
    return -1;
  }
  return __real_fsync(fd);
}

int __wrap_rename(const char* from, const char* to) {
  if (events != nullptr) events->push_back("rename to " + std::filesystem::path(to).filename().string());
  return __real_rename(from, to);
}

}  // extern "C"

namespace terse::data {
namespace {

using ::testing::ElementsAre;

// Records what happens to the disk while it lives.
class Watched {
 public:
  explicit Watched(int failing = -1) {
    events = &seen;
    failing_sync = failing;
    syncs = 0;
  }
  ~Watched() { events = nullptr; }
  std::vector<std::string> seen;
};

TEST(Durable, TheWholeFileIsOnDiskBeforeItGetsItsNameAndTheNameBeforeItReturns) {
  const TempDir dir;
  const std::string folder = "sync folder " + dir.path().filename().string();
  Watched disk;
  write_durably(dir / "config.yaml", "twelve bytes");
  EXPECT_THAT(disk.seen, ElementsAre("sync file of 12 bytes", "rename to config.yaml", folder));
  EXPECT_EQ(read_file(dir / "config.yaml"), "twelve bytes");
}

TEST(Durable, AStoreIsOnDiskBeforeItGetsItsName) {
  const TempDir dir;
  const auto text = dir.write("text.txt", "some text");
  Watched disk;
  build_store({text}, dir / "text.h5", ByteTokenizer());
  const auto size = std::filesystem::file_size(dir / "text.h5");
  EXPECT_THAT(disk.seen, ElementsAre(fmt::format("sync file of {} bytes", size), "rename to text.h5",
                                     "sync folder " + dir.path().filename().string()));
}

TEST(Durable, TheNameOfEveryNewFolderIsOnDisk) {
  const TempDir dir;
  const Watched disk;
  create_folders(dir.path() / "a" / "b");
  EXPECT_TRUE(std::filesystem::is_directory(dir.path() / "a" / "b"));
  EXPECT_THAT(disk.seen, ElementsAre("sync folder " + dir.path().filename().string(), "sync folder a"));
}

TEST(Durable, WhatCannotBeSyncedGetsNoName) {
  const TempDir dir;
  dir.write("config.yaml", "old");
  Watched disk(0);
  EXPECT_THROW(write_durably(dir / "config.yaml", "new"), DiskError);
  EXPECT_EQ(read_file(dir / "config.yaml"), "old");
  EXPECT_THAT(dir.names(), ElementsAre("config.yaml")) << "the half-written file is gone";
}

TEST(Durable, ANameThatIsNotSafeIsAnError) {
  const TempDir dir;
  Watched disk(1);
  EXPECT_THROW(write_durably(dir / "config.yaml", "new"), DiskError);
}

}  // namespace
}  // namespace terse::data
