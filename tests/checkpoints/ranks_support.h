// Simulates several ranks in one process. Each is a thread with its own Store, and holds a part of the state.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/checkpoints/support.h"

namespace terse::checkpoints {

// The outcome of a rank's work.
struct Ended {
  bool ok = true;
  bool disk = false;  // a DiskError
  std::string error;
};

// Runs `work` on all ranks at once.
inline std::vector<Ended> on_ranks(int ranks, const std::function<void(int)>& work) {
  std::vector<Ended> ended(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      Ended& mine = ended[static_cast<size_t>(rank)];
      try {
        work(rank);
      } catch (const DiskError& error) {
        mine = {false, true, error.what()};
      } catch (const std::exception& error) {
        mine = {false, false, error.what()};
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return ended;
}

// An Exchange between threads: an all-gather of texts.
class Table {
 public:
  explicit Table(int ranks) : texts_(static_cast<size_t>(ranks)) {}

  Exchange seat(int rank) {
    return [this, rank](const std::string& mine) {
      std::unique_lock lock(mutex_);
      texts_[static_cast<size_t>(rank)] = mine;
      const int64_t round = round_;
      if (++arrived_ == texts_.size()) {
        shared_ = texts_;
        arrived_ = 0;
        ++round_;
        changed_.notify_all();
      } else {
        changed_.wait(lock, [&] { return round_ != round; });
      }
      return shared_;
    };
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> texts_, shared_;
  size_t arrived_ = 0;
  int64_t round_ = 0;
};

// The first element of the part of rank `rank`. Later ranks hold more, and the first of many ranks hold nothing of a
// small tensor.
inline int64_t part_begin(int64_t elements, int rank, int ranks) {
  return elements * rank * rank / (int64_t{ranks} * ranks);
}

inline Range part_of(int64_t elements, int rank, int ranks) {
  return {part_begin(elements, rank, ranks), part_begin(elements, rank + 1, ranks)};
}

// One rank's part of example_state(). Rank 0 holds adam/count and the last rank holds a tensor of its own; all other
// tensors are split over the ranks.
inline StateDict example_part(int64_t step, int rank, int ranks) {
  const StateDict whole = example_state(step);
  StateDict part;
  part.extra = whole.extra;
  for (const auto& [name, shard] : whole.tensors) {
    const Range range = part_of(shard.end, rank, ranks);
    if (name != "adam/count") {
      part.tensors[name] = {whole.range(name, range.begin, range.end), shard.shape, range.begin, range.end};
    } else if (rank == 0) {
      part.add(name, shard.data);
    }
  }
  if (rank == ranks - 1) part.add("expert", torch::full({3, 3}, step));
  return part;
}

// The complete state that the parts add up to.
inline StateDict joined_state(int64_t step) {
  StateDict state = example_state(step);
  state.add("expert", torch::full({3, 3}, step));
  return state;
}

inline StoreOptions rank_options(int rank, int ranks,
                                 std::shared_ptr<FileSystem> fs = support::unsynced_file_system()) {
  return {.fs = std::move(fs), .rank = rank, .ranks = ranks, .token = "job-7", .deadline = std::chrono::minutes(5)};
}

// Saves example parts on all ranks at once, and uses the same stores for all steps.
inline std::vector<Ended> save_on_ranks(const Path& dir, int ranks, const std::vector<int64_t>& steps,
                                        const std::function<StoreOptions(int)>& options) {
  return on_ranks(ranks, [&](int rank) {
    Store store(dir, options(rank));
    for (const int64_t step : steps) {
      store.save(example_info(step), example_part(step, rank, ranks));
      store.wait();
    }
  });
}

inline std::vector<Ended> save_on_ranks(const Path& dir, int ranks, const std::vector<int64_t>& steps) {
  return save_on_ranks(dir, ranks, steps, [&](int rank) { return rank_options(rank, ranks); });
}

inline void expect_all_ok(const std::vector<Ended>& ended) {
  for (const Ended& rank : ended) EXPECT_TRUE(rank.ok) << rank.error;
}

// Loads on all ranks and passes each rank's result to `use`.
inline std::vector<Ended> load_on_ranks(const Path& dir, int ranks, const std::function<Wanted(int)>& wanted,
                                        const std::function<void(int, const Store::Loaded&)>& use,
                                        const std::function<std::shared_ptr<FileSystem>(int)>& fs = {}) {
  Table table(ranks);
  return on_ranks(ranks, [&](int rank) {
    const Store store(dir, rank_options(rank, ranks, fs ? fs(rank) : support::unsynced_file_system()));
    const auto loaded = store.load_latest(wanted ? wanted(rank) : Wanted(), table.seat(rank));
    ASSERT_TRUE(loaded.has_value());
    use(rank, *loaded);
  });
}

}  // namespace terse::checkpoints
