// Loading by several ranks: each loads only the elements that it wants, the ranks share the hashing, and all agree on
// one checkpoint.
#include "checkpoints/load.h"
#include "tests/checkpoints/ranks_support.h"

namespace terse::checkpoints {
namespace {

namespace fs = std::filesystem;
using support::CallbackFileSystem;
using support::Operation;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kSavers = 3;

class RanksLoad : public ::testing::Test {
 protected:
  RanksLoad() { expect_all_ok(save_on_ranks(dir_, kSavers, {100, 200})); }

  void flip(const std::string& file, size_t at) const {
    std::string bytes = read_bytes(newest_ / file);
    bytes[at] = static_cast<char>(bytes[at] ^ 16);
    write_bytes(newest_ / file, bytes);
  }

  TemporaryFolder folder_;
  Path dir_ = folder_.path() / "checkpoints";
  Path newest_ = dir_ / "step-200";
};

Wanted only(const std::string& name, Range range) {
  return [=](const std::string& other, const std::vector<int64_t>&) -> std::optional<Range> {
    if (other != name) return std::nullopt;
    return range;
  };
}

TEST_F(RanksLoad, OnlyWhatIsWantedIsKept) {
  const Store store(dir_, {});
  for (const Range range : {Range{0, 24}, Range{5, 19}, Range{2, 3}, Range{11, 24}, Range{7, 7}}) {
    const auto loaded = store.load_latest(only("model/embed", range));
    ASSERT_THAT(loaded->state.tensors, SizeIs(1));
    const Shard& shard = loaded->state.tensors.at("model/embed");
    EXPECT_EQ(shard.shape, (std::vector<int64_t>{4, 6}));
    EXPECT_EQ(shard.data.numel(), range.end - range.begin);
    EXPECT_TRUE(same_bits(loaded->state.range("model/embed", range.begin, range.end),
                          joined_state(200).range("model/embed", range.begin, range.end)));
    EXPECT_EQ(loaded->state.extra, example_state(200).extra);
  }
  EXPECT_THROW(store.load_latest(only("model/embed", {0, 25})), std::invalid_argument);
  EXPECT_THROW(store.load_latest(only("model/embed", {-1, 2})), std::invalid_argument);
  EXPECT_THROW(store.load_latest(only("model/embed", {3, 2})), std::invalid_argument);
}

TEST_F(RanksLoad, ARequestForWhatATensorDoesNotHaveFailsOnAll) {
  const auto ended = load_on_ranks(
      dir_, 2,
      [](int rank) {
        return rank == 0 ? Wanted() : only("model/norm", {4, 6});
      },
      [](int, const Store::Loaded&) { ADD_FAILURE(); });
  for (const Ended& rank : ended) {
    EXPECT_FALSE(rank.ok || rank.disk);
    EXPECT_THAT(rank.error,
                HasSubstr("rank 1: elements 4 to 6 of tensor model/norm were requested, but it has 5 (shape [5])"));
  }
}

// The number of times that each rank reads each file.
using Reads = std::vector<std::map<std::string, int>>;

TEST_F(RanksLoad, EachFileIsHashedByOneRankAndReadByThoseThatWantIt) {
  for (const int ranks : {1, 2, 3, 6}) {
    SCOPED_TRACE(ranks);
    Reads reads(static_cast<size_t>(ranks));
    const auto counting = [&](int rank) {
      return std::make_shared<CallbackFileSystem>(support::unsynced_file_system(),
                                                  [&, rank](const Operation& operation) {
                                                    const std::string name = operation.path.filename();
                                                    if (operation.kind == "read" && name.ends_with(".h5"))
                                                      ++reads[static_cast<size_t>(rank)][name];
                                                  });
    };
    // No rank wants a tensor, so each shard is read once, to be hashed.
    const auto nothing = [](int) {
      return [](const std::string&, const std::vector<int64_t>&) { return std::optional<Range>(); };
    };
    expect_all_ok(load_on_ranks(
        dir_, ranks, nothing, [](int, const Store::Loaded&) {}, counting));
    std::map<std::string, int> total;
    for (const auto& of_rank : reads) {
      for (const auto& [name, count] : of_rank) total[name] += count;
    }
    EXPECT_EQ(total, (std::map<std::string, int>{{"rank-0.h5", 1}, {"rank-1.h5", 1}, {"rank-2.h5", 1}}));
    // All ranks want everything, so each rank reads each shard once.
    reads.assign(static_cast<size_t>(ranks), {});
    expect_all_ok(load_on_ranks(
        dir_, ranks, {}, [](int, const Store::Loaded& loaded) { expect_same(loaded.state, joined_state(200)); },
        counting));
    for (const auto& of_rank : reads) {
      EXPECT_EQ(of_rank, (std::map<std::string, int>{{"rank-0.h5", 1}, {"rank-1.h5", 1}, {"rank-2.h5", 1}}));
    }
  }
}

TEST(HashingRanks, ShareTheBytesAndKeepNeighboursTogether) {
  const auto with = [](std::vector<uint64_t> sizes) {
    std::vector<FileEntry> files;
    for (const uint64_t size : sizes) files.push_back({"", size, "", {}});
    return files;
  };
  EXPECT_THAT(hashing_ranks(with({5, 5, 5, 5}), 4), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(hashing_ranks(with({5, 5, 5, 5}), 2), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(hashing_ranks(with({5, 5}), 4), ElementsAre(1, 3));
  EXPECT_THAT(hashing_ranks(with({90, 10}), 2), ElementsAre(0, 1));
  EXPECT_THAT(hashing_ranks(with({0, 0}), 3), ElementsAre(0, 0));
  EXPECT_THAT(hashing_ranks(with({uint64_t{1} << 62, uint64_t{1} << 62, 1}), 2), ElementsAre(0, 1, 1));
}

// This holds for every rank that may find the damage, and for every rank that wants the file.
TEST_F(RanksLoad, ADamagedByteMakesAllFallBackTogether) {
  for (const char* file : {"rank-2.h5", "rank-0.h5", "extra.json", "MANIFEST.json"}) {
    const std::string sound = read_bytes(newest_ / file);
    for (const int ranks : {1, 2, 3, 5}) {
      for (const size_t at : {size_t{0}, sound.size() / 2, sound.size() - 1}) {
        SCOPED_TRACE(std::string(file) + " " + std::to_string(ranks) + " " + std::to_string(at));
        flip(file, at);
        const auto wanted = [&](int rank) { return only("model/embed", part_of(24, rank, ranks)); };
        std::vector<std::string> rejected(static_cast<size_t>(ranks));
        expect_all_ok(load_on_ranks(dir_, ranks, wanted, [&](int rank, const Store::Loaded& loaded) {
          EXPECT_EQ(loaded.info.step, 100);
          const Range range = part_of(24, rank, ranks);
          EXPECT_TRUE(same_bits(loaded.state.range("model/embed", range.begin, range.end),
                                joined_state(100).range("model/embed", range.begin, range.end)));
          ASSERT_THAT(loaded.rejected, SizeIs(1));
          rejected[static_cast<size_t>(rank)] = loaded.rejected[0];
        }));
        for (const std::string& reason : rejected) {
          EXPECT_EQ(reason, rejected[0]);
          EXPECT_THAT(reason, AllOf(HasSubstr("step-200: " + std::string(file) + ": its SHA-256 is ")));
        }
        write_bytes(newest_ / file, sound);
      }
    }
  }
}

// The hash of the shard is right but its content is not. The rank that parses it finds this.
TEST_F(RanksLoad, WhatOnlyParsingFindsMakesAllFallBackTogether) {
  write_bytes(newest_ / "rank-1.h5", "no HDF5, but of the right size and hash");
  fs::resize_file(newest_ / "rank-1.h5", 5000);
  seal(newest_);
  const auto wanted = [](int rank) { return rank == 2 ? only("model/embed", {3, 9}) : only("adam/count", {0, 1}); };
  expect_all_ok(load_on_ranks(dir_, 3, wanted, [&](int, const Store::Loaded& loaded) {
    EXPECT_EQ(loaded.info.step, 100);
    EXPECT_THAT(loaded.rejected, ElementsAre(HasSubstr("step-200: rank-1.h5: cannot open it as HDF5")));
  }));
  // No rank wants the shard, so none parses it.
  expect_all_ok(load_on_ranks(
      dir_, 3,
      [](int) {
        return only("adam/count", {0, 1});
      },
      [&](int, const Store::Loaded& loaded) { EXPECT_EQ(loaded.info.step, 200); }));
}

TEST_F(RanksLoad, ADiskThatFailsOnOneRankIsEverybodysConcern) {
  for (const int failing : {0, 1, 2}) {
    SCOPED_TRACE(failing);
    int fallbacks = 0;
    for (int64_t at = 1;; ++at) {
      SCOPED_TRACE(at);
      const auto fs =
          std::make_shared<support::FailingFileSystem>(support::unsynced_file_system(), EIO, /*forever=*/false);
      Table table(kSavers);
      std::vector<int64_t> steps(kSavers, -1);
      const auto ended = on_ranks(kSavers, [&](int rank) {
        const Store store(dir_, rank_options(rank, kSavers, rank == failing ? fs : support::unsynced_file_system()));
        if (rank == failing) fs->arm(at);
        const auto loaded = store.load_latest({}, table.seat(rank));
        expect_same(loaded->state, joined_state(loaded->info.step));
        steps[static_cast<size_t>(rank)] = loaded->info.step;
      });
      for (size_t rank = 0; rank < kSavers; ++rank) {
        EXPECT_EQ(ended[rank].ok, ended[0].ok);
        EXPECT_EQ(ended[rank].error, ended[0].error);
        EXPECT_EQ(steps[rank], steps[0]);
        EXPECT_TRUE(ended[rank].ok || ended[rank].disk);
      }
      fallbacks += steps[0] == 100 ? 1 : 0;
      if (!fs->failed()) break;
    }
    EXPECT_GE(fallbacks, 5);
  }
}

TEST_F(RanksLoad, RanksThatSeeDifferentManifestsReject) {
  // Rank 1 sees step 200 as it was before a save replaced it.
  const Path old = folder_.path() / "old";
  fs::copy(dir_, old, fs::copy_options::recursive);
  expect_all_ok(on_ranks(kSavers, [&](int rank) {
    Store store(dir_, rank_options(rank, kSavers));
    store.save(example_info(200), example_part(201, rank, kSavers));
  }));
  Table table(2);
  std::vector<std::vector<std::string>> rejected(2);
  expect_all_ok(on_ranks(2, [&](int rank) {
    const auto fs = support::unsynced_file_system();
    const auto loaded = load_latest(*fs, rank == 1 ? old : dir_, {{}, rank, 2}, table.seat(rank));
    EXPECT_EQ(loaded->info.step, 100);
    rejected[static_cast<size_t>(rank)] = loaded->rejected;
  }));
  EXPECT_THAT(rejected[0], ElementsAre("step-200: MANIFEST.json: rank 1 and rank 0 read different contents"));
  EXPECT_EQ(rejected[1], rejected[0]);
}

TEST_F(RanksLoad, NoneAtAllAndNoneUsableAreTheSameForAll) {
  Table table(2);
  expect_all_ok(on_ranks(2, [&](int rank) {
    const Store store(folder_.path() / "empty", rank_options(rank, 2));
    EXPECT_FALSE(store.load_latest({}, table.seat(rank)).has_value());
  }));
  for (const char* step : {"step-100", "step-200"}) fs::remove(dir_ / step / "rank-2.h5");
  for (const Ended& rank : load_on_ranks(dir_, 2, {}, [](int, const Store::Loaded&) { ADD_FAILURE(); })) {
    EXPECT_FALSE(rank.ok || rank.disk);
    EXPECT_THAT(rank.error, AllOf(HasSubstr("no usable checkpoint in " + dir_.string()),
                                  HasSubstr("step-200: rank-2.h5: it is missing"),
                                  HasSubstr("step-100: rank-2.h5: it is missing")));
  }
}

}  // namespace
}  // namespace terse::checkpoints
