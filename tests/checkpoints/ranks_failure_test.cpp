// Saves by several ranks where one rank fails, holds the wrong part or never starts. All ranks fail, no older
// checkpoint is lost, no files are left behind, and the next save works.
#include "checkpoints/load.h"
#include "tests/checkpoints/ranks_support.h"
#include "tests/support/simulated_disk.h"

namespace terse::checkpoints {
namespace {

using support::CallbackFileSystem;
using support::FailingFileSystem;
using support::Operation;
using support::SimulatedDisk;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Path kDir = "/run/checkpoints";
constexpr uint64_t kRoomy = uint64_t{1} << 40;
constexpr int kRanks = 3;

// A disk with checkpoints 100 and 200 of three ranks.
std::shared_ptr<SimulatedDisk> disk_with_two() {
  const auto disk = std::make_shared<SimulatedDisk>(kRoomy);
  expect_all_ok(save_on_ranks(kDir, kRanks, {100, 200}, [&](int rank) { return rank_options(rank, kRanks, disk); }));
  return disk;
}

void expect_sound(FileSystem& fs, int64_t step) {
  const auto loaded = load_latest(fs, kDir);
  ASSERT_TRUE(loaded.has_value());
  EXPECT_EQ(loaded->info.step, step);
  EXPECT_THAT(loaded->rejected, IsEmpty());
  expect_same(loaded->state, joined_state(step));
  EXPECT_GE(list_steps(fs, kDir).size(), 2u);
  EXPECT_THAT(temporaries_in(fs, kDir), IsEmpty());
}

// The stores of a run that continues after a failed save, as training does: every rank waits, then saves again.
class Job {
 public:
  explicit Job(const std::function<StoreOptions(int)>& options) {
    for (int rank = 0; rank < kRanks; ++rank) stores_.push_back(std::make_unique<Store>(kDir, options(rank)));
  }

  std::vector<Ended> save(int64_t step, const std::function<StateDict(int)>& part = {}) {
    return on_ranks(kRanks, [&](int rank) {
      Store& store = *stores_[static_cast<size_t>(rank)];
      store.save(example_info(step), part ? part(rank) : example_part(step, rank, kRanks));
      store.wait();
    });
  }

 private:
  std::vector<std::unique_ptr<Store>> stores_;
};

void expect_all_fail(const std::vector<Ended>& ended, bool disk, const ::testing::Matcher<std::string>& message) {
  for (const Ended& rank : ended) {
    EXPECT_FALSE(rank.ok);
    EXPECT_EQ(rank.disk, disk) << rank.error;
    EXPECT_THAT(rank.error, message);
  }
}

TEST(FailingRank, AFullDiskOfOneRankFailsTheSaveOnAllAndTheRunGoesOn) {
  for (const int full : {0, 1, 2}) {
    for (const bool async : {true, false}) {
      SCOPED_TRACE(full);
      const auto disk = disk_with_two();
      const uint64_t room = disk->free_bytes(kDir);
      std::atomic<bool> is_full = true;
      Job run([&](int rank) {
        const auto fs = std::make_shared<CallbackFileSystem>(disk, [&, rank](const Operation& operation) {
          const bool is_data = operation.path.extension() == ".h5";
          if (!is_full || rank != full || operation.kind != "write" || !is_data) return;
          throw DiskError("cannot write " + operation.path.string() + ": " + std::strerror(ENOSPC), ENOSPC);
        });
        StoreOptions options = rank_options(rank, kRanks, fs);
        options.async = async;
        return options;
      });
      const std::string name = "rank " + std::to_string(full);
      expect_all_fail(run.save(300), true,
                      AllOf(HasSubstr("saving checkpoint step-300: " + name + ": cannot write " + kDir.string()),
                            HasSubstr("rank-" + std::to_string(full) + ".h5"), HasSubstr(std::strerror(ENOSPC))));
      expect_sound(*disk, 200);
      EXPECT_EQ(disk->free_bytes(kDir), room);
      is_full = false;
      expect_all_ok(run.save(300));
      expect_sound(*disk, 300);
    }
  }
}

// The save fails at once, not at the deadline, which is minutes away.
TEST(FailingRank, ARankWithoutRoomForItsReasonIsNamedAtOnce) {
  for (const int full : {0, 1}) {
    const auto disk = disk_with_two();
    Job run([&](int rank) {
      const auto fs = std::make_shared<CallbackFileSystem>(disk, [&, rank](const Operation& operation) {
        if (rank == full && operation.kind == "write") throw DiskError("cannot write", ENOSPC);
      });
      return rank_options(rank, kRanks, fs);
    });
    const std::vector<Ended> ended = run.save(300);
    const std::string name = "rank " + std::to_string(full);
    for (int rank = 0; rank < kRanks; ++rank) {
      const Ended& mine = ended[static_cast<size_t>(rank)];
      EXPECT_TRUE(mine.disk);
      const bool knows = full == 0 && rank == 0;
      EXPECT_THAT(mine.error,
                  HasSubstr(name + (knows ? ": cannot write" : " failed, and the disk had no space for its report")));
    }
    expect_sound(*disk, 200);
  }
}

// Any rank may be the one that fills the disk, and there may be no space even to report the failure.
TEST(FailingRank, ADiskThatIsFullAtAnyByteFailsTheSaveOnAll) {
  int failures = 0;
  for (uint64_t room = 0; room < 400'000; room += room < 3000 ? 100 : 1501) {
    SCOPED_TRACE(room);
    const auto disk = disk_with_two();
    const uint64_t before = disk->free_bytes(kDir);
    disk->set_capacity(kRoomy - before + room);
    disk->pretend_room();
    Job run([&](int rank) { return rank_options(rank, kRanks, disk); });
    const std::vector<Ended> ended = run.save(300);
    if (ended[0].ok) {
      expect_all_ok(ended);
      break;
    }
    ++failures;
    expect_all_fail(ended, true, HasSubstr("saving checkpoint step-300: rank "));
    expect_sound(*disk, disk->kind(kDir / "step-300") == EntryKind::kFolder ? 300 : 200);
    disk->set_capacity(kRoomy);
    expect_all_ok(run.save(300));
    expect_sound(*disk, 300);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(failures, 30);
}

TEST(FailingRank, TooLittleRoomIsSaidByTheRankThatNeedsIt) {
  const auto disk = disk_with_two();
  const uint64_t before = disk->free_bytes(kDir);
  disk->set_capacity(kRoomy - before + 90'000);
  Job run([&](int rank) { return rank_options(rank, kRanks, disk); });
  const auto large = [](int rank) {
    StateDict state;
    if (rank == 1) state.add("w", torch::zeros({100'000}, torch::kUInt8));
    return state;
  };
  expect_all_fail(
      run.save(300, large), true,
      AllOf(HasSubstr("step-300: rank 1: not enough free space in " + kDir.string()), HasSubstr("needed 1")));
  expect_sound(*disk, 200);
}

TEST(FailingRank, AnErrorAtAnyOperationOfAnyRankEndsTheSaveAlikeOnAll) {
  for (const int failing : {0, 1}) {
    int failures = 0;
    for (int64_t at = 1;; ++at) {
      SCOPED_TRACE(std::to_string(failing) + " at " + std::to_string(at));
      const auto disk = disk_with_two();
      const auto fs = std::make_shared<FailingFileSystem>(disk, EIO, /*forever=*/false);
      Job run([&](int rank) {
        StoreOptions options = rank_options(rank, kRanks, rank == failing ? fs : std::shared_ptr<FileSystem>(disk));
        options.deadline = std::chrono::seconds(1);  // some errors keep a rank from reporting its failure
        return options;
      });
      fs->arm(at);
      const std::vector<Ended> ended = run.save(300);
      const bool reached = fs->failed();
      fs->arm(0);
      for (const Ended& rank : ended) {
        EXPECT_EQ(rank.ok, ended[0].ok) << ended[0].error << "; " << rank.error;
        EXPECT_TRUE(rank.ok || rank.disk) << rank.error;
      }
      failures += ended[0].ok ? 0 : 1;
      const bool in_place = disk->kind(kDir / "step-300") == EntryKind::kFolder;
      EXPECT_TRUE(in_place || !ended[0].ok);
      expect_sound(*disk, in_place ? 300 : 200);
      expect_all_ok(run.save(400));
      expect_sound(*disk, 400);
      if (::testing::Test::HasFailure()) return;
      if (!reached) break;
    }
    EXPECT_GT(failures, failing == 0 ? 25 : 5);
  }
}

// On a network file system a rename may succeed and still return an error. Rank 0 then has the report and continues, so
// the reporting rank must not remove its files.
TEST(FailingRank, AReportThatArrivedAlthoughItFailedCounts) {
  const auto disk = disk_with_two();
  std::mutex mutex;
  std::condition_variable changed;
  bool relied_on = false, withdrawn = false;
  const auto set = [&](bool& flag) {
    const std::lock_guard lock(mutex);
    flag = true;
    changed.notify_all();
  };
  const auto wait_for = [&](const bool& flag) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return flag; });
  };
  const auto of_first = std::make_shared<CallbackFileSystem>(disk, [&](const Operation& operation) {
    if (operation.kind == "create" && operation.path.filename() == kExtraName) set(relied_on);
    if (operation.kind == "rename" && operation.path == kDir / "step-300") wait_for(withdrawn);
  });
  const auto of_second = std::make_shared<CallbackFileSystem>(disk, [&](const Operation& operation) {
    if (operation.kind == "create" && operation.path.filename() == "rank-1.failed.json.part") set(withdrawn);
    if (operation.kind != "rename" || operation.path.filename() != "rank-1.json") return;
    disk->rename(operation.path.string() + ".part", operation.path);
    wait_for(relied_on);
    throw DiskError("cannot rename", EIO);
  });
  Job run([&](int rank) {
    const std::vector<std::shared_ptr<FileSystem>> ios = {of_first, of_second, disk};
    return rank_options(rank, kRanks, ios[static_cast<size_t>(rank)]);
  });
  expect_all_ok(run.save(300));
  expect_sound(*disk, 300);
}

TEST(FailingRank, PartsThatDoNotMakeAWholeAreRefusedByName) {
  const auto disk = disk_with_two();
  Job run([&](int rank) { return rank_options(rank, kRanks, disk); });
  const auto cut = [](std::vector<Range> ranges) {
    return [ranges](int rank) {
      const Range range = ranges[static_cast<size_t>(rank)];
      StateDict state;
      state.tensors["adam/m"] = {torch::zeros({range.end - range.begin}), {5, 8}, range.begin, range.end};
      return state;
    };
  };
  const auto refused = [&](const std::function<StateDict(int)>& part, const std::string& message) {
    SCOPED_TRACE(message);
    expect_all_fail(run.save(300, part), false,
                    HasSubstr("step-300: the shards of the ranks do not form complete tensors: " + message));
    expect_sound(*disk, 200);
  };
  refused(cut({{0, 10}, {10, 20}, {21, 40}}),
          "tensor adam/m: a piece ends at element 20 and the next begins at 21 (in rank-1.h5 and rank-2.h5)");
  refused(cut({{0, 10}, {9, 20}, {20, 40}}),
          "tensor adam/m: a piece ends at element 10 and the next begins at 9 (in rank-0.h5 and rank-1.h5)");
  refused(cut({{0, 40}, {0, 40}, {40, 40}}),
          "tensor adam/m: a piece ends at element 40 and the next begins at 0 (in rank-0.h5 and rank-1.h5)");
  refused(cut({{0, 10}, {10, 20}, {20, 39}}), "tensor adam/m: its pieces cover elements 0 to 39 of 40");
  refused(cut({{1, 10}, {10, 20}, {20, 40}}), "tensor adam/m: its pieces cover elements 1 to 40 of 40");
  refused(
      [&](int rank) {
        StateDict state = cut({{0, 10}, {10, 20}, {20, 40}})(rank);
        if (rank == 2) state.tensors["adam/m"].data = state.tensors["adam/m"].data.to(torch::kBFloat16);
        return state;
      },
      "tensor adam/m has pieces of different dtypes or shapes (in rank-1.h5 and rank-2.h5)");
  const auto sound = cut({{0, 10}, {10, 10}, {10, 40}});
  expect_all_ok(run.save(300, sound));
  EXPECT_EQ(load_latest(*disk, kDir)->state.whole("adam/m").numel(), 40);
}

TEST(FailingRank, WhatOneRankCannotStoreIsRefusedOnAll) {
  const auto disk = disk_with_two();
  Job run([&](int rank) { return rank_options(rank, kRanks, disk); });
  const auto refused = [&](int bad, const std::function<void(StateDict&)>& spoil, const std::string& message) {
    const auto part = [&](int rank) {
      StateDict state = example_part(300, rank, kRanks);
      if (rank == bad) spoil(state);
      return state;
    };
    expect_all_fail(run.save(300, part), false, HasSubstr("rank " + std::to_string(bad) + ": " + message));
    expect_sound(*disk, 200);
  };
  const std::string why = "cannot save a checkpoint: ";
  refused(
      2, [](StateDict& state) { state.add("z", torch::zeros({2}, torch::kComplexFloat)); },
      why + "tensor z has dtype ComplexFloat");
  refused(
      0, [](StateDict& state) { state.extra["loss"] = std::nan(""); }, why + "extra/loss is nan");
  expect_all_ok(run.save(300));
}

TEST(MissingRank, IsNamedAfterTheDeadlineByThoseThatCame) {
  for (const int missing : {1, 2}) {
    const auto disk = disk_with_two();
    const std::vector<Ended> ended = on_ranks(kRanks, [&](int rank) {
      if (rank == missing) return;
      StoreOptions options = rank_options(rank, kRanks, disk);
      options.deadline = std::chrono::seconds(1);
      Store store(kDir, options);
      store.save(example_info(300), example_part(300, rank, kRanks));
      store.wait();
    });
    EXPECT_TRUE(ended[0].disk);
    EXPECT_THAT(ended[0].error, AllOf(HasSubstr("saving checkpoint step-300: rank " + std::to_string(missing)),
                                      HasSubstr("sent no report and wrote nothing for 1 s")));
    EXPECT_TRUE(ended[static_cast<size_t>(3 - missing)].disk);
    expect_sound(*disk, 200);
  }
}

// Rank 1 writes one file each time that rank 0 polls its progress after waiting for the deadline. So the save takes
// longer than the deadline, but every poll sees progress.
TEST(SlowRank, IsWaitedForAsLongAsItsFilesGrow) {
  constexpr int kFiles = 4;
  const TemporaryFolder folder;
  std::mutex mutex;
  std::condition_variable changed;
  int looks = 0, begun = 0, written = 0;
  const auto of_first =
      std::make_shared<CallbackFileSystem>(support::unsynced_file_system(), [&](const Operation& operation) {
        if (operation.kind != "list" || operation.path.filename().string().find("-data") == std::string::npos) return;
        std::unique_lock lock(mutex);
        ++looks;
        changed.notify_all();
        changed.wait(lock, [&] { return written >= std::min(looks, kFiles); });
      });
  const auto of_second =
      std::make_shared<CallbackFileSystem>(support::unsynced_file_system(), [&](const Operation& operation) {
        if (operation.path.extension() != ".h5") return;
        std::unique_lock lock(mutex);
        if (operation.kind == "create") {
          changed.wait(lock, [&] { return looks > begun; });
          ++begun;
        } else if (operation.kind == "close") {
          ++written;
          changed.notify_all();
        }
      });
  expect_all_ok(on_ranks(2, [&](int rank) {
    StoreOptions options = rank_options(rank, 2, rank == 0 ? of_first : of_second);
    options.shard_bytes = 8 << 10;
    options.deadline = std::chrono::seconds(2);
    Store store(folder.path(), options);
    StateDict state;
    if (rank == 1) state.add("w", torch::zeros({3000}, torch::kInt64));
    store.save(example_info(1), state);
    store.wait();
  }));
  EXPECT_EQ(written, kFiles);
  EXPECT_THAT(verify(folder.path() / "step-1"), IsEmpty());
}

TEST(MissingRank, WithoutRankZeroTheOthersSayThatItHasNotBegun) {
  const auto disk = disk_with_two();
  const std::vector<Ended> ended = on_ranks(kRanks, [&](int rank) {
    if (rank == 0) return;
    StoreOptions options = rank_options(rank, kRanks, disk);
    options.deadline = std::chrono::milliseconds(100);
    Store store(kDir, options);
    store.save(example_info(300), example_part(300, rank, kRanks));
    store.wait();
  });
  for (const int rank : {1, 2}) {
    EXPECT_TRUE(ended[static_cast<size_t>(rank)].disk);
    EXPECT_THAT(ended[static_cast<size_t>(rank)].error,
                AllOf(HasSubstr("rank " + std::to_string(rank) +
                                ": rank 0 did not start the save within 0.1 s: it did not create"),
                      HasSubstr("step-300.tmp-shared-job-7-1-talk")));
  }
  expect_sound(*disk, 200);
}

// A rank of another start has another token, so it does not join this save.
TEST(MissingRank, ARankWithAnotherTokenDoesNotJoin) {
  const auto disk = disk_with_two();
  const std::vector<Ended> ended = on_ranks(2, [&](int rank) {
    StoreOptions options = rank_options(rank, 2, disk);
    options.deadline = std::chrono::milliseconds(100);
    if (rank == 1) options.token = "job-6";
    Store store(kDir, options);
    store.save(example_info(300), example_part(300, rank, 2));
    store.wait();
  });
  expect_all_fail(ended, true, HasSubstr("0.1 s"));
  expect_sound(*disk, 200);
}

// The one unknown outcome: the folder of messages disappears, for example because a new start removes it as a leftover.
TEST(MissingRank, WhoMissesTheWordOfRankZeroSaysSo) {
  const TemporaryFolder folder;
  const Path talk = folder.path() / "step-1.tmp-shared-job-7-1-talk";
  const Path data = folder.path() / "step-1.tmp-shared-job-7-1-data";
  std::filesystem::create_directory(data);
  std::filesystem::create_directory(talk);
  const auto fs =
      std::make_shared<CallbackFileSystem>(support::unsynced_file_system(), [&](const Operation& operation) {
        if (operation.kind == "kind" && operation.path.filename() == "saved") std::filesystem::remove_all(talk);
      });
  Store store(folder.path(), rank_options(1, 2, fs));
  store.save(example_info(1), example_part(1, 1, 2));
  try {
    store.wait();
    FAIL() << "expected an error";
  } catch (const DiskError& error) {
    EXPECT_THAT(
        error.what(),
        HasSubstr(
            "saving checkpoint step-1: rank 1: the result of the save is unknown: rank 0 ended without a report"));
  }
}

TEST(MissingRank, ADamagedOrForeignReportIsNotBelieved) {
  const std::string foreign = files_text({{"rank-0.h5", 100, std::string(64, 'a'), {}}});
  for (const std::string& report : {std::string("{"), std::string("{}"), foreign}) {
    const TemporaryFolder folder;
    const auto fs =
        std::make_shared<CallbackFileSystem>(support::unsynced_file_system(), [&](const Operation& operation) {
          if (operation.kind != "sync_folder" || operation.path.extension() == "") return;
          write_bytes(folder.path() / "step-1.tmp-shared-job-7-1-talk" / "rank-1.json", report);
        });
    StoreOptions options = rank_options(0, 2, fs);
    options.deadline = std::chrono::milliseconds(50);  // no rank confirms the announcement
    Store store(folder.path(), options);
    store.save(example_info(1), example_part(1, 0, 1));
    try {
      store.wait();
      FAIL() << "expected an error";
    } catch (const DiskError& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("rank-1.json of rank 1 is damaged: ")));
    }
    EXPECT_THAT(names_in(folder.path()), IsEmpty());
  }
}

}  // namespace
}  // namespace terse::checkpoints
