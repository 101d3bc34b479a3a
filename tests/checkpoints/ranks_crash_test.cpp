// Kills the whole job or one rank, or cuts the power, at any operation of a save by several ranks. Afterwards the
// checkpoint that loads is complete, nothing that was durable is lost, and the next start saves normally.
#include <sys/wait.h>

#include "checkpoints/load.h"
#include "tests/checkpoints/ranks_support.h"
#include "tests/support/simulated_disk.h"

namespace terse::checkpoints {
namespace {

namespace fs = std::filesystem;
using support::KillingFileSystem;
using support::SimulatedDisk;
using ::testing::IsEmpty;

constexpr int kRanks = 3;

struct Scenario {
  const char* name;
  std::vector<int64_t> before;
  int64_t step;
};

const std::vector<Scenario> kScenarios = {
    {"the first save of a run", {}, 100},
    {"a save that prunes", {100, 200}, 300},
    {"a save that replaces its own step", {100, 200}, 200},
};

// Checks the folder after the interruption.
void expect_whole(FileSystem& fs, const Path& dir, const Scenario& scenario, bool saved) {
  const auto loaded = load_latest(fs, dir);
  if (saved) {
    ASSERT_TRUE(loaded.has_value());
    EXPECT_EQ(loaded->info.step, scenario.step);
  }
  EXPECT_TRUE(loaded.has_value() || scenario.before.empty());
  if (loaded) {
    EXPECT_TRUE(loaded->info.step == scenario.step || loaded->info.step == scenario.before.back());
    EXPECT_THAT(loaded->rejected, IsEmpty());
    expect_same(loaded->state, joined_state(loaded->info.step));
  }
  const std::vector<StepEntry> steps = list_steps(fs, dir);
  EXPECT_GE(steps.size(), scenario.before.size());
  for (const StepEntry& entry : steps) {
    EXPECT_THAT(check_checkpoint(fs, dir / step_name(entry.step), Depth::kData, nullptr), IsEmpty()) << entry.step;
  }
}

// Starts again on `ranks` ranks with a new token.
void expect_next_start_works(const std::shared_ptr<FileSystem>& fs, const Path& dir, int ranks) {
  expect_all_ok(save_on_ranks(dir, ranks, {400}, [&](int rank) {
    StoreOptions options = rank_options(rank, ranks, fs);
    options.token = "job-8";
    return options;
  }));
  EXPECT_EQ(load_latest(*fs, dir)->info.step, 400);
  for (const std::string& name : temporaries_in(*fs, dir)) EXPECT_FALSE(is_shared_name(name)) << name;
}

// Runs one rank in its own process, which is killed at its change `at` of the disk (0: never). Its exit code is 1 when
// the save threw.
pid_t start_rank(const Path& dir, int64_t step, int rank, int64_t at, std::chrono::milliseconds deadline) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  const auto fs = std::make_shared<KillingFileSystem>(posix_file_system());
  fs->skip_syncs();
  fs->number_changes_only();
  fs->arm(at);
  StoreOptions options = rank_options(rank, kRanks, fs);
  options.deadline = deadline;
  try {
    Store store(dir, options);
    store.save(example_info(step), example_part(step, rank, kRanks));
    store.wait();
  } catch (const DiskError&) {
    ::_exit(1);
  }
  ::_exit(0);
}

// Runs the job until rank `victim` is killed at `at`. With `all`, it then kills the other ranks at once, as a launcher
// does. Returns the wait statuses of the ranks.
std::vector<int> run_job(const Path& dir, int64_t step, int victim, int64_t at, bool all) {
  const auto deadline = all ? std::chrono::milliseconds(std::chrono::minutes(5)) : std::chrono::milliseconds(200);
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < kRanks; ++rank) {
    ranks.push_back(start_rank(dir, step, rank, rank == victim ? at : 0, deadline));
  }
  std::vector<int> statuses(kRanks);
  const auto await = [&](size_t rank) { EXPECT_EQ(::waitpid(ranks[rank], &statuses[rank], 0), ranks[rank]); };
  await(static_cast<size_t>(victim));
  for (size_t rank = 0; rank < kRanks; ++rank) {
    if (static_cast<int>(rank) == victim) continue;
    if (all && WIFSIGNALED(statuses[static_cast<size_t>(victim)])) ::kill(ranks[rank], SIGKILL);
    await(rank);
  }
  return statuses;
}

TEST(RanksCrash, AKillOfTheJobAtAnyChangeOfAnyRankLosesNothing) {
  int64_t kills = 0;
  for (const Scenario& scenario : kScenarios) {
    const TemporaryFolder folder;
    const Path before = folder.path() / "before";
    expect_all_ok(save_on_ranks(before, kRanks, scenario.before));
    for (const int victim : {0, 1, 2}) {
      bool completed = false;
      for (int64_t at = 1; !completed; ++at) {
        SCOPED_TRACE(std::string(scenario.name) + ", rank " + std::to_string(victim) + " at " + std::to_string(at));
        const Path dir = folder.path() / "run";
        fs::copy(before, dir, fs::copy_options::recursive);
        const std::vector<int> statuses = run_job(dir, scenario.step, victim, at, /*all=*/true);
        completed = WIFEXITED(statuses[static_cast<size_t>(victim)]);
        if (completed) {
          for (const int status : statuses) EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        } else {
          ++kills;
        }
        const auto fs = support::unsynced_file_system();
        expect_whole(*fs, dir, scenario, completed);
        expect_next_start_works(fs, dir, at % 2 == 0 ? 1 : 2);
        EXPECT_THAT(temporaries_in(*fs, dir), IsEmpty());
        if (::testing::Test::HasFailure()) return;
        fs::remove_all(dir);
      }
    }
  }
  EXPECT_GT(kills, 150);
}

// The surviving ranks continue. All of them save or all fail, but when rank 0 died nobody announces the result.
TEST(RanksCrash, ARankThatDiesAloneEndsTheSaveOfTheOthersAtTheDeadline) {
  const Scenario& scenario = kScenarios[1];
  int64_t failures = 0;
  const TemporaryFolder folder;
  const Path before = folder.path() / "before";
  expect_all_ok(save_on_ranks(before, kRanks, scenario.before));
  for (const int victim : {0, 2}) {
    bool completed = false;
    for (int64_t at = 1; !completed; at += victim == 0 ? 6 : 1) {
      SCOPED_TRACE(std::to_string(victim) + " at " + std::to_string(at));
      const Path dir = folder.path() / "run";
      fs::copy(before, dir, fs::copy_options::recursive);
      const std::vector<int> statuses = run_job(dir, scenario.step, victim, at, /*all=*/false);
      completed = WIFEXITED(statuses[static_cast<size_t>(victim)]);
      const auto fs = support::unsynced_file_system();
      for (const int status : statuses) {
        const bool threw = !WIFEXITED(status) || WEXITSTATUS(status) != 0;
        failures += threw ? 1 : 0;
        // A rank whose save returned has a checkpoint.
        EXPECT_TRUE(threw || fs->kind(dir / step_name(scenario.step)) == EntryKind::kFolder);
      }
      if (victim != 0) {
        EXPECT_THAT(temporaries_in(*fs, dir), IsEmpty());
      }
      expect_whole(*fs, dir, scenario, false);
      expect_next_start_works(fs, dir, 3);
      if (::testing::Test::HasFailure()) return;
      fs::remove_all(dir);
    }
  }
  EXPECT_GT(failures, 20);
}

TEST(RanksCrash, APowerCutAtAnyOperationLosesNothingThatWasSafe) {
  const Path dir = "/run/checkpoints";
  int64_t cuts = 0;
  for (const Scenario& scenario : kScenarios) {
    const auto options = [&](const std::shared_ptr<SimulatedDisk>& disk) {
      return [&disk](int rank) {
        StoreOptions of_rank = rank_options(rank, kRanks, disk);
        of_rank.deadline = std::chrono::milliseconds(30);  // once the power is off, no messages arrive
        return of_rank;
      };
    };
    for (int64_t at = 1;; at += 3) {
      SCOPED_TRACE(std::string(scenario.name) + " at " + std::to_string(at));
      const auto disk = std::make_shared<SimulatedDisk>();
      expect_all_ok(
          save_on_ranks(dir, kRanks, scenario.before, [&](int rank) { return rank_options(rank, kRanks, disk); }));
      disk->cut_power_at(at);
      const bool saved = save_on_ranks(dir, kRanks, {scenario.step}, options(disk))[0].ok;
      for (uint64_t seed = 0; seed < 10; ++seed) {
        const auto found = disk->after_power_cut(seed);
        SCOPED_TRACE(seed);
        if (found->kind(dir) == EntryKind::kNone) continue;  // the cut came before the folder was durable
        expect_whole(*found, dir, scenario, saved);
        if (::testing::Test::HasFailure()) return;
        ++cuts;
      }
      const auto found = disk->after_power_cut(1);
      expect_next_start_works(found, dir, 2);
      if (!disk->is_off()) break;
    }
  }
  EXPECT_GT(cuts, 700);
}

TEST(RanksCrash, OnlyRankZeroClearsLeftoversAtTheStart) {
  const TemporaryFolder folder;
  const std::vector<std::string> left = {"step-5.tmp-shared-job-6-1-data", "step-5.tmp-shared-job-6-1-talk"};
  for (const std::string& name : left) {
    fs::create_directory(folder.path() / name);
    write_bytes(folder.path() / name / "rank-1.h5", "x");
  }
  const Store second(folder.path(), rank_options(1, 2));
  EXPECT_EQ(names_in(folder.path()), left);
  const Store first(folder.path(), rank_options(0, 2));
  EXPECT_THAT(names_in(folder.path()), IsEmpty());
}

}  // namespace
}  // namespace terse::checkpoints
