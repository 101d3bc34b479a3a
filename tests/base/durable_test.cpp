// Checks which operations a durable write performs on the disk, and in which order.
#include "base/durable.h"

#include <gmock/gmock.h>

#include <fstream>

#include "base/errors.h"
#include "tests/support/disk_events.h"
#include "tests/support/temporary_folder.h"

namespace terse {
namespace {

using support::read_file;
using support::TemporaryFolder;
using ::testing::ElementsAre;

TEST(Durable, TheWholeFileIsOnDiskBeforeItGetsItsNameAndTheNameBeforeItReturns) {
  const TemporaryFolder dir;
  const std::string folder = "sync folder " + dir.path().filename().string();
  support::DiskEvents disk;
  write_durably(dir / "config.yaml", "twelve bytes");
  EXPECT_THAT(disk.seen, ElementsAre("sync file of 12 bytes", "rename to config.yaml", folder));
  EXPECT_EQ(read_file(dir / "config.yaml"), "twelve bytes");
}

TEST(Durable, TheNameOfEveryNewFolderIsOnDisk) {
  const TemporaryFolder dir;
  const support::DiskEvents disk;
  make_folders(dir.path() / "a" / "b");
  EXPECT_TRUE(std::filesystem::is_directory(dir.path() / "a" / "b"));
  EXPECT_THAT(disk.seen, ElementsAre("sync folder " + dir.path().filename().string(), "sync folder a"));
}

TEST(Durable, WhatCannotBeSyncedGetsNoName) {
  const TemporaryFolder dir;
  dir.write("config.yaml", "old");
  support::DiskEvents disk(0);
  EXPECT_THROW(write_durably(dir / "config.yaml", "new"), DiskError);
  EXPECT_EQ(read_file(dir / "config.yaml"), "old");
  EXPECT_THAT(dir.names(), ElementsAre("config.yaml")) << "the half-written file is gone";
}

TEST(Durable, ANameThatIsNotSafeIsAnError) {
  const TemporaryFolder dir;
  support::DiskEvents disk(1);
  EXPECT_THROW(write_durably(dir / "config.yaml", "new"), DiskError);
}

TEST(Durable, AFileThatAnotherLibraryWroteIsPublishedWhole) {
  const TemporaryFolder dir;
  support::DiskEvents disk;
  {
    TemporaryFile file(dir.path() / "text.h5");
    std::ofstream(file.path()) << "some bytes";
    file.publish();
  }
  EXPECT_THAT(disk.seen, ElementsAre("sync file of 10 bytes", "rename to text.h5",
                                     "sync folder " + dir.path().filename().string()));
  EXPECT_THAT(dir.names(), ElementsAre("text.h5"));
}

TEST(Durable, AFileInTheWayOfAFolderIsAnError) {
  const TemporaryFolder dir;
  EXPECT_THROW(make_folders(dir.write("a", "a file") / "b"), DiskError);
  EXPECT_THROW(make_folders(dir / "a"), DiskError);
}

TEST(NewFolder, IsOnDiskBeforeItGetsItsNameAndTheNameBeforeItReturns) {
  const TemporaryFolder dir;
  const std::string parent = "sync folder " + dir.path().filename().string();
  {
    NewFolder folder(dir.path() / "model");
    write_durably(folder.path() / "file", "new");
    EXPECT_THAT(dir.names(), ElementsAre(folder.path().filename().string()));
    const std::string temporary = folder.path().filename().string();
    support::DiskEvents disk;
    folder.publish();
    EXPECT_THAT(disk.seen, ElementsAre("sync folder " + temporary, "rename to model", parent));
  }
  EXPECT_THAT(dir.names(), ElementsAre("model"));
  EXPECT_EQ(read_file(dir / "model/file"), "new");
}

TEST(NewFolder, ReplacesAWholeFolder) {
  const TemporaryFolder dir;
  std::filesystem::create_directories(dir / "model/inner");
  dir.write("model/old", "old");
  NewFolder folder(dir.path() / "model/");  // a path may end with a slash
  write_durably(folder.path() / "file", "new");
  EXPECT_EQ(read_file(dir / "model/old"), "old");
  folder.publish();
  EXPECT_THAT(dir.names(), ElementsAre("model"));
  EXPECT_EQ(read_file(dir / "model/file"), "new");
  EXPECT_FALSE(std::filesystem::exists(dir / "model/old"));
}

TEST(NewFolder, LeavesNothingUnlessItIsPublished) {
  const TemporaryFolder dir;
  {
    NewFolder folder(dir.path() / "model");
    write_durably(folder.path() / "file", "new");
    std::filesystem::create_directory(folder.path() / "inner");
  }
  EXPECT_TRUE(dir.names().empty());
}

TEST(NewFolder, WhatAnEndedProcessLeftBehindIsRemoved) {
  const TemporaryFolder dir;
  std::filesystem::create_directories(dir / "model.tmp-999999999-1-1/inner");
  dir.write("model.tmp-999999999-1-2", "half a file");
  dir.write("other.tmp-999999999-1-1", "of another output");
  dir.write("model.tmp-notes", "of a user");
  const NewFolder own(dir.path() / "model");  // of this process
  remove_leftovers(dir.path() / "model");
  EXPECT_THAT(dir.names(), ::testing::UnorderedElementsAre("model.tmp-notes", own.path().filename().string(),
                                                           "other.tmp-999999999-1-1"));
}

}  // namespace
}  // namespace terse
