// Concurrent use of one folder: readers during saves, two stores, two processes.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/checkpoints/support.h"

namespace terse::checkpoints {
namespace {

TEST(SharedFolder, OthersMayLoadAtAnyTime) {
  const TemporaryFolder folder;
  Store store(folder.path(), {.fs = support::unsynced_file_system()});
  store.save(example_info(0), example_state(0));
  store.wait();
  std::atomic<bool> done = false;
  std::atomic<int> loads = 0;
  const auto read = [&](bool by_store) {
    int64_t last = 0;
    while (!done || loads < 4) {
      const auto loaded = by_store ? store.load_latest() : load_latest(folder.path());
      ASSERT_TRUE(loaded.has_value());
      ASSERT_GE(loaded->info.step, last);
      last = loaded->info.step;
      expect_same(loaded->state, example_state(last));
      ++loads;
    }
  };
  std::thread by_store(read, true), by_folder(read, false);
  for (int64_t step = 1; step <= 40; ++step) store.save(example_info(step), example_state(step));
  store.wait();
  done = true;
  by_store.join();
  by_folder.join();
  expect_latest(folder.path(), 40);
}

TEST(SharedFolder, TwoStoresOnOneFolderDoNotDisturbEachOther) {
  const TemporaryFolder folder;
  const StoreOptions options{.keep = 100, .fs = support::unsynced_file_system()};
  Store even(folder.path(), options);
  for (int64_t step = 0; step < 20; step += 2) {
    even.save(example_info(step), example_state(step));
    Store odd(folder.path(), options);  // its clean-up must not remove the other store's temporary folder
    odd.save(example_info(step + 1), example_state(step + 1));
  }
  even.wait();
  EXPECT_EQ(list_checkpoints(folder.path()).size(), 20u);
  for (int64_t step = 0; step < 20; ++step) {
    expect_same(load(folder.path() / ("step-" + std::to_string(step))).state, example_state(step));
  }
}

TEST(SharedFolder, TwoProcessesOnOneFolderDoNotDisturbEachOther) {
  const TemporaryFolder folder;
  const StoreOptions options{.keep = 100, .async = false, .fs = support::unsynced_file_system()};
  const auto save_steps = [&](int64_t first) {
    for (int64_t step = first; step < 20; step += 2) {
      Store store(folder.path(), options);
      store.save(example_info(step), example_state(step));
    }
  };
  const pid_t child = ::fork();
  if (child == 0) {
    save_steps(1);
    ::_exit(0);
  }
  save_steps(0);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(list_checkpoints(folder.path()).size(), 20u);
  for (const Path& path : list_checkpoints(folder.path())) EXPECT_TRUE(verify(path).empty()) << path;
}

}  // namespace
}  // namespace terse::checkpoints
