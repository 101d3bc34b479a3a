// Disks that fail at every operation, once or permanently. The error is clear, no older checkpoint is lost, no files
// are left behind, and the next save works.
#include "checkpoints/load.h"
#include "tests/checkpoints/support.h"
#include "tests/support/simulated_disk.h"

namespace terse::checkpoints {
namespace {

using support::CallbackFileSystem;
using support::FailingFileSystem;
using support::Operation;
using support::SimulatedDisk;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const Path kDir = "/run/checkpoints";

// A disk with checkpoints 100 and 200.
std::shared_ptr<SimulatedDisk> disk_with_two() {
  const auto disk = std::make_shared<SimulatedDisk>();
  save_two(kDir, {.async = false, .fs = disk});
  return disk;
}

void expect_sound(FileSystem& fs, int64_t step) {
  const auto loaded = load_latest(fs, kDir);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->info.step, step);
  EXPECT_THAT(loaded->rejected, IsEmpty());
  expect_same(loaded->state, example_state(step));
}

// Returns whether saving `step` fails, in save() or in wait().
bool save_fails(Store& store, int64_t step = 300) {
  try {
    store.save(example_info(step), example_state(step));
    store.wait();
    return false;
  } catch (const DiskError& error) {
    EXPECT_NE(error.error(), 0);
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("cannot "), HasSubstr(kDir.string()), HasSubstr(std::strerror(error.error()))));
    return true;
  }
}

class FailingDisk : public ::testing::TestWithParam<std::tuple<int, bool, bool>> {};

TEST_P(FailingDisk, AtAnyOperationIsReportedAndCostsNothingOlder) {
  const auto [error, forever, async] = GetParam();
  int failures = 0;
  for (int64_t at = 1;; ++at) {
    SCOPED_TRACE(at);
    const auto disk = disk_with_two();
    const uint64_t room = disk->free_bytes(kDir);
    const auto fs = std::make_shared<FailingFileSystem>(disk, error, forever);
    Store store(kDir, {.async = async, .fs = fs});
    fs->arm(at);
    const bool failed = save_fails(store);
    const bool reached = fs->failed();
    fs->arm(0);
    failures += failed ? 1 : 0;
    // A failed save may still have put its checkpoint in place, if `latest` or the pruning failed. Then it is complete.
    const bool in_place = disk->kind(kDir / "step-300") == EntryKind::kFolder;
    EXPECT_TRUE(failed || in_place);
    expect_sound(*disk, in_place ? 300 : 200);
    EXPECT_GE(list_steps(*disk, kDir).size(), 2u);
    if (!forever) {
      EXPECT_THAT(temporaries_in(*disk, kDir), IsEmpty());
      if (!in_place) {
        EXPECT_EQ(disk->free_bytes(kDir), room);
      }
    }
    ASSERT_FALSE(save_fails(store));
    expect_sound(*disk, 300);
    EXPECT_THAT(temporaries_in(*disk, kDir), IsEmpty());
    if (::testing::Test::HasFailure()) return;
    if (!reached) break;
  }
  EXPECT_GT(failures, 30);
}

TEST_P(FailingDisk, WhileReplacingAStepKeepsTheOldOneOrTheNewOne) {
  const auto [error, forever, async] = GetParam();
  for (const bool exchange : {true, false}) {
    SCOPED_TRACE(exchange);
    for (int64_t at = 1;; ++at) {
      SCOPED_TRACE(at);
      const auto disk = disk_with_two();
      if (!exchange) disk->forbid_exchange();
      const auto fs = std::make_shared<FailingFileSystem>(disk, error, forever);
      Store store(kDir, {.async = async, .fs = fs});
      fs->arm(at);
      const bool failed = save_fails(store, 200);
      const bool reached = fs->failed();
      fs->arm(0);
      // Without an exchange, a disk that fails permanently between the two renames leaves only the previous checkpoint.
      const bool gone = disk->kind(kDir / "step-200") == EntryKind::kNone;
      EXPECT_TRUE(!gone || (failed && !exchange && forever));
      expect_sound(*disk, gone ? 100 : 200);
      if (!forever) {
        EXPECT_THAT(temporaries_in(*disk, kDir), IsEmpty());
      }
      ASSERT_FALSE(save_fails(store));
      expect_sound(*disk, 300);
      EXPECT_THAT(temporaries_in(*disk, kDir), IsEmpty());
      if (::testing::Test::HasFailure()) return;
      if (!reached) break;
    }
  }
}

std::string case_name(const ::testing::TestParamInfo<std::tuple<int, bool, bool>>& test) {
  const auto [error, forever, async] = test.param;
  return std::string(error == EIO ? "Eio" : "Enospc") + (forever ? "Forever" : "Once") + (async ? "Async" : "Sync");
}

INSTANTIATE_TEST_SUITE_P(All, FailingDisk,
                         ::testing::Combine(::testing::Values(ENOSPC, EIO), ::testing::Bool(), ::testing::Bool()),
                         case_name);

// A disk on which chosen operations fail with a chosen errno.
class FailedSave : public ::testing::Test {
 protected:
  using Chosen = std::function<int(const Operation&)>;  // returns the errno; 0: the operation works

  bool save_fails_where(const Chosen& chosen, int64_t step = 300) {
    chosen_ = chosen;
    const bool failed = save_fails(store_, step);
    chosen_ = nullptr;
    return failed;
  }

  Chosen chosen_;
  std::shared_ptr<SimulatedDisk> disk_ = disk_with_two();
  Store store_{kDir, {.fs = std::make_shared<CallbackFileSystem>(disk_, [this](const Operation& operation) {
                        const int error = chosen_ ? chosen_(operation) : 0;
                        if (error == 0) return;
                        throw DiskError(
                            "cannot " + operation.kind + " " + operation.path.string() + ": " + std::strerror(error),
                            error);
                      })}};
};

TEST_F(FailedSave, LeavesNothingWhateverKindOfOperationAlwaysFails) {
  const uint64_t room = disk_->free_bytes(kDir);
  for (const char* kind : {"make_folder", "create", "write", "sync", "close", "sync_folder", "rename"}) {
    SCOPED_TRACE(kind);
    EXPECT_TRUE(save_fails_where([&](const Operation& operation) { return operation.kind == kind ? EIO : 0; }));
    EXPECT_THAT(temporaries_in(*disk_, kDir), IsEmpty());
    EXPECT_EQ(disk_->free_bytes(kDir), room);
    expect_sound(*disk_, 200);
    EXPECT_EQ(list_steps(*disk_, kDir).size(), 2u);
  }
}

TEST_F(FailedSave, ReportsItsOwnErrorWhenTheCleanUpFailsToo) {
  chosen_ = [](const Operation& operation) {
    if (operation.kind == "sync") return ENOSPC;
    return operation.kind == "remove" ? EACCES : 0;
  };
  store_.save(example_info(300), example_state(300));
  try {
    store_.wait();
    FAIL() << "expected an error";
  } catch (const DiskError& error) {
    EXPECT_EQ(error.error(), ENOSPC);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("cannot sync "), HasSubstr("rank-0.h5")));
  }
  EXPECT_THAT(temporaries_in(*disk_, kDir), ElementsAre(HasSubstr("step-300.tmp-")));
  chosen_ = nullptr;
  store_.wait();
  EXPECT_THAT(temporaries_in(*disk_, kDir), IsEmpty());
}

TEST_F(FailedSave, RemovesAllButWhatCannotBeRemoved) {
  const uint64_t room = disk_->free_bytes(kDir);
  uint64_t stuck = 0;
  EXPECT_TRUE(save_fails_where([&](const Operation& operation) {
    const bool is_extra = operation.path.filename() == kExtraName;
    if (operation.kind == "write" && is_extra) stuck = operation.bytes.size();
    if (operation.kind == "sync_folder") return EIO;
    return operation.kind == "remove" && is_extra ? EIO : 0;
  }));
  const auto left = temporaries_in(*disk_, kDir);
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_THAT(disk_->list(kDir / left[0]), ElementsAre(::testing::Field(&Entry::name, kExtraName)));
  EXPECT_EQ(disk_->free_bytes(kDir), room - stuck);
}

// Before the folder is synced, a power failure could restore the replaced checkpoint, so it must stay complete until
// then.
TEST_F(FailedSave, KeepsAReplacedCheckpointUntilItsReplacementIsSafe) {
  const auto sync_fails = [](const Operation& operation) {
    return operation.kind == "sync_folder" && operation.path == kDir ? EIO : 0;
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(save_fails_where(sync_fails, 200));
    for (const std::string& name : temporaries_in(*disk_, kDir)) {
      EXPECT_THAT(check_checkpoint(*disk_, kDir / name, Depth::kData, nullptr), IsEmpty()) << name;
    }
    EXPECT_THAT(temporaries_in(*disk_, kDir), SizeIs(i + 1));
  }
  EXPECT_FALSE(save_fails(store_));
  EXPECT_THAT(temporaries_in(*disk_, kDir), IsEmpty());
}

TEST(ReadError, AtAnyOperationOfALoadFallsBackOrIsReported) {
  int fallbacks = 0;
  const auto disk = disk_with_two();
  for (int64_t at = 1;; ++at) {
    SCOPED_TRACE(at);
    FailingFileSystem fs(disk, EIO, false);
    fs.arm(at);
    try {
      const auto loaded = load_latest(fs, kDir);
      ASSERT_TRUE(loaded.has_value());
      expect_same(loaded->state, example_state(loaded->info.step));
      if (loaded->info.step == 100) {
        EXPECT_THAT(loaded->rejected, ElementsAre(AllOf(HasSubstr("step-200"), HasSubstr(std::strerror(EIO)))));
        ++fallbacks;
      }
    } catch (const DiskError& error) {
      EXPECT_EQ(error.error(), EIO);
    }
    if (!fs.failed()) break;
  }
  EXPECT_GE(fallbacks, 4);
}

}  // namespace
}  // namespace terse::checkpoints
