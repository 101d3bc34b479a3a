// Which checkpoints pruning keeps: the newest that verify, and the best.
#include <limits>

#include "tests/checkpoints/support.h"

namespace terse::checkpoints {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class Retention : public ::testing::Test {
 protected:
  // Saves these steps, with these scores, through one store.
  void save(const std::vector<std::pair<int64_t, double>>& steps, int64_t keep = 2, const std::string& stage = "rl") {
    Store store(dir_, {.keep = keep, .async = false, .fs = support::unsynced_file_system()});
    for (const auto& [step, score] : steps) store.save(example_info(step, score, stage), example_state(step));
  }

  std::vector<int64_t> steps() const {
    std::vector<int64_t> found;
    for (const Path& path : list_checkpoints(dir_)) {
      EXPECT_TRUE(verify(path).empty()) << path;
      found.push_back(std::stoll(path.filename().string().substr(5)));
    }
    return found;
  }

  void damage(int64_t step) const { write_bytes(dir_ / ("step-" + std::to_string(step)) / "extra.json", "{}"); }

  TemporaryFolder folder_;
  Path dir_ = folder_.path();
};

TEST_F(Retention, TheNewestAndTheBestStay) {
  save({{1, 0.1}, {2, 0.9}, {3, 0.3}, {4, 0.2}, {5, 0.4}});
  EXPECT_THAT(steps(), ElementsAre(5, 4, 2));
  save({{6, 0.95}});
  EXPECT_THAT(steps(), ElementsAre(6, 5));
  save({{7, 0.1}, {8, 0.1}});
  EXPECT_THAT(steps(), ElementsAre(8, 7, 6));
}

// Losses are negative scores and accuracies positive ones, so scores of different stages cannot be compared.
TEST_F(Retention, OnlyScoresOfTheStageUnderWayAreCompared) {
  save({{1, -2.0}, {2, -0.1}, {3, -0.5}, {4, -0.4}}, 2, "sft");
  EXPECT_THAT(steps(), ElementsAre(4, 3, 2));
  save({{5, 0.1}}, 2, "rl");
  EXPECT_THAT(steps(), ElementsAre(5, 4)) << "the best of a stage that is over goes";
  save({{6, 0.9}, {7, 0.2}, {8, 0.3}}, 2, "rl");
  EXPECT_THAT(steps(), ElementsAre(8, 7, 6));
  save({{9, -5}, {10, -7}, {11, -6}}, 2, "sft");
  EXPECT_THAT(steps(), ElementsAre(11, 10, 9)) << "not step 6, whose score is larger";
}

TEST_F(Retention, WithoutScoresOnlyTheNewestStay) {
  save({{1, 0}, {2, 0}, {3, 0}, {4, 0}});
  EXPECT_THAT(steps(), ElementsAre(4, 3));
}

TEST_F(Retention, AnUnknownScoreIsNeverTheBest) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  save({{1, -5}, {2, nan}, {3, inf}, {4, nan}, {5, nan}});
  EXPECT_THAT(steps(), ElementsAre(5, 4, 1));
}

TEST_F(Retention, NegativeScoresWork) {
  save({{1, -2.5}, {2, -2.0}, {3, -2.2}, {4, -2.4}, {5, -2.3}});
  EXPECT_THAT(steps(), ElementsAre(5, 4, 2));
}

TEST_F(Retention, KeepsAsManyAsAskedAndNeverFewerThanTwo) {
  save({{1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}}, 4);
  EXPECT_THAT(steps(), ElementsAre(5, 4, 3, 2));
  save({{6, 0}, {7, 0}}, 0);
  EXPECT_THAT(steps(), ElementsAre(7, 6));
  save({{8, 0}}, -3);
  EXPECT_THAT(steps(), ElementsAre(8, 7));
}

TEST_F(Retention, ADamagedCheckpointDoesNotCount) {
  save({{1, 0}, {2, 0}});
  damage(2);
  save({{3, 0}});
  EXPECT_THAT(steps(), ElementsAre(3, 1));
}

TEST_F(Retention, NothingGoesWhileTooFewVerify) {
  save({{1, 0}, {2, 0}, {3, 0}}, 3);
  damage(1);
  damage(2);
  damage(3);
  save({{4, 0}});
  EXPECT_EQ(list_checkpoints(dir_).size(), 4u);
  save({{5, 0}});
  EXPECT_THAT(steps(), ElementsAre(5, 4));
}

TEST_F(Retention, ADamagedBestGivesWayToTheNextBest) {
  save({{1, 0.8}, {2, 0.9}, {3, 0.1}, {4, 0.1}}, 4);
  damage(2);
  save({{5, 0.1}}, 2);
  EXPECT_THAT(steps(), ElementsAre(5, 4, 1));
}

TEST_F(Retention, SavingAStepTwiceKeepsOneWithTheNewContent) {
  save({{1, 0}, {2, 0}});
  Store store(dir_, {.async = false, .fs = support::unsynced_file_system()});
  StateDict changed = example_state(2);
  changed.extra["stage finished"] = true;
  store.save(example_info(2), changed);
  EXPECT_THAT(steps(), ElementsAre(2, 1));
  EXPECT_EQ(store.load_latest()->state.extra["stage finished"], true);
}

// After the run fell back past a damaged checkpoint, it saves steps below the damaged one.
TEST_F(Retention, WhatWasJustSavedAndWhatIsNewerStays) {
  save({{10, 0}, {20, 0}, {30, 0}}, 3);
  damage(30);
  save({{15, 0}});
  EXPECT_EQ(list_checkpoints(dir_).size(), 3u);  // 30 damaged, 20 and 15; 10 is pruned
  EXPECT_TRUE(verify(dir_ / "step-15").empty());
  EXPECT_TRUE(verify(dir_ / "step-20").empty());
}

TEST_F(Retention, AFailedSaveCostsNeitherTheBestNorTheLastTwo) {
  save({{1, 0.9}, {2, 0.1}, {3, 0.2}});
  const auto fs = std::make_shared<support::FailingFileSystem>(support::unsynced_file_system(), ENOSPC, false);
  bool failed = true;
  for (int64_t at = 1; failed; ++at) {
    SCOPED_TRACE(at);
    Store store(dir_, {.async = false, .fs = fs});
    fs->arm(at);
    try {
      store.save(example_info(4, 0.3), example_state(4));
      failed = false;
    } catch (const DiskError&) {
    }
    fs->arm(0);
    const std::vector<int64_t> found = steps();
    EXPECT_THAT(found, ::testing::IsSupersetOf({1, 3}));
    EXPECT_GE(found.size(), 3u);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_THAT(steps(), ElementsAre(4, 3, 1));
}

TEST_F(Retention, OtherFilesInTheFolderAreNotTouched) {
  write_bytes(dir_ / "notes.txt", "mine");
  fs::create_directory(dir_ / "step-1-backup");
  write_bytes(dir_ / "step-1-backup" / "x", "mine");
  save({{1, 0}, {2, 0}, {3, 0}, {4, 0}});
  EXPECT_THAT(names_in(dir_), ElementsAre("latest", "notes.txt", "step-1-backup", "step-3", "step-4"));
  EXPECT_EQ(read_bytes(dir_ / "step-1-backup" / "x"), "mine");
}

TEST_F(Retention, ALinkNamedLikeAnOldStepIsRemovedWithoutItsTarget) {
  const TemporaryFolder elsewhere;
  write_bytes(elsewhere.path() / "precious", "mine");
  fs::create_directory_symlink(elsewhere.path(), dir_ / "step-1");
  save({{2, 0}, {3, 0}, {4, 0}});
  EXPECT_THAT(names_in(dir_), ElementsAre("latest", "step-3", "step-4"));
  EXPECT_EQ(read_bytes(elsewhere.path() / "precious"), "mine");
}

}  // namespace
}  // namespace terse::checkpoints
