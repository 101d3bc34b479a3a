// Checks which operations building a store performs on the disk, and in which order.
#include <gmock/gmock.h>

#include "data/store/build_store.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "tests/data/support.h"
#include "tests/support/disk_events.h"

namespace terse::data {
namespace {

using ::testing::ElementsAre;

TEST(BuildStoreDurable, AStoreIsOnDiskBeforeItGetsItsName) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "some text");
  support::DiskEvents disk;
  build_store({text}, dir / "text.h5", ByteTokenizer());
  const auto size = std::filesystem::file_size(dir / "text.h5");
  EXPECT_THAT(disk.seen, ElementsAre(fmt::format("sync file of {} bytes", size), "rename to text.h5",
                                     "sync folder " + dir.path().filename().string()));
}

}  // namespace
}  // namespace terse::data
