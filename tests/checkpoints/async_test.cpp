// Saving in the background: what is saved is the state at the call, saves never overlap, failures come out, others may
// read.
#include <sys/wait.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/checkpoints/support.h"

namespace terse::checkpoints {
namespace {

using support::CallbackIo;
using support::FailingIo;
using support::Operation;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Holds whoever comes until it is opened.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void wait_for_a_visitor() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ > 0; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

// Background writers stop at the gate when they create their first file.
std::shared_ptr<Io> gated(Gate& gate) {
  return std::make_shared<CallbackIo>(support::unsynced_io(), [&gate](const Operation& operation) {
    if (operation.kind == "create") gate.pass();
  });
}

TEST(AsyncSave, ReturnsBeforeTheWriteAndKeepsTheStateOfTheCall) {
  const TemporaryFolder folder;
  Gate gate;
  Store store(folder.path(), {.io = gated(gate)});
  const StateDict state = example_state(1);
  store.save(example_info(1), state);  // would wait forever if it wrote
  gate.wait_for_a_visitor();
  EXPECT_FALSE(load_latest(folder.path()).has_value());
  for (const auto& [name, shard] : state.tensors) shard.data.zero_();
  gate.open();
  store.wait();
  expect_latest(folder.path(), 1);
}

TEST(AsyncSave, ASecondSaveWaitsForTheFirst) {
  const TemporaryFolder folder;
  Gate gate;
  std::mutex mutex;
  std::vector<std::string> order;  // steps whose folders were made or renamed
  const auto io = std::make_shared<CallbackIo>(support::unsynced_io(), [&](const Operation& operation) {
    if (operation.kind == "create") gate.pass();
    const std::string name = operation.path.filename();
    if (!name.starts_with("step-")) return;
    const std::lock_guard lock(mutex);
    if (operation.kind == "make_folder") order.push_back("begin " + name.substr(0, 6));
    if (operation.kind == "rename") order.push_back("end " + name);
  });
  Store store(folder.path(), {.io = io});
  store.save(example_info(1), example_state(1));
  gate.wait_for_a_visitor();
  std::thread opener([&] { gate.open(); });
  store.save(example_info(2), example_state(2));
  opener.join();
  store.wait();
  EXPECT_THAT(order, ElementsAre("begin step-1", "end step-1", "begin step-2", "end step-2"));
  expect_latest(folder.path(), 2);
}

TEST(AsyncSave, TheDestructorWaits) {
  const TemporaryFolder folder;
  Gate gate;
  std::thread opener;
  {
    Store store(folder.path(), {.io = gated(gate)});
    store.save(example_info(1), example_state(1));
    gate.wait_for_a_visitor();
    opener = std::thread([&] { gate.open(); });
  }
  expect_latest(folder.path(), 1);
  opener.join();
}

TEST(AsyncSave, BuffersFollowAStateThatChangesItsTensors) {
  const TemporaryFolder folder;
  Store store(folder.path(), {.keep = 10, .io = support::unsynced_io()});
  std::vector<StateDict> states(4);
  states[0].add("a", torch::rand({100}));
  states[1].add("a", torch::rand({50}));
  states[2].add("a", torch::rand({50}).to(torch::kBFloat16));
  states[3].add("b", torch::rand({5, 10}).t());
  for (size_t i = 0; i < states.size(); ++i) store.save(example_info(static_cast<int64_t>(i)), states[i]);
  store.wait();
  for (size_t i = 0; i < states.size(); ++i) {
    expect_same(load(folder.path() / ("step-" + std::to_string(i))).state, states[i]);
  }
}

TEST(AsyncSave, AFailureComesOutOfTheNextCallOnceAndTheRunGoesOn) {
  for (const bool by_wait : {false, true}) {
    const TemporaryFolder folder;
    const auto io = std::make_shared<FailingIo>(support::unsynced_io(), EIO, true);
    Store store(folder.path(), {.io = io});
    store.save(example_info(1), example_state(1));
    store.wait();
    io->arm(6);
    store.save(example_info(2), example_state(2));
    if (by_wait) {
      EXPECT_THROW(store.wait(), DiskError);
      EXPECT_NO_THROW(store.wait());
    } else {
      EXPECT_THROW(store.save(example_info(3), example_state(3)), DiskError);
    }
    expect_latest(folder.path(), 1);
    io->arm(0);
    store.save(example_info(4), example_state(4));
    store.wait();
    expect_latest(folder.path(), 4);
    EXPECT_THAT(names_in(folder.path()), ElementsAre("latest", "step-1", "step-4"));
  }
}

TEST(AsyncSave, AFailureThatNobodyAskedForIsPrinted) {
  const TemporaryFolder folder;
  ::testing::internal::CaptureStderr();
  {
    const auto io = std::make_shared<FailingIo>(support::unsynced_io(), ENOSPC, true);
    Store store(folder.path(), {.io = io});
    io->arm(6);
    store.save(example_info(2), example_state(2));
  }
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("the last checkpoint was not saved: cannot "));
}

TEST(AsyncSave, OthersMayLoadAtAnyTime) {
  const TemporaryFolder folder;
  Store store(folder.path(), {.io = support::unsynced_io()});
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

TEST(AsyncSave, TwoStoresOnOneFolderDoNotDisturbEachOther) {
  const TemporaryFolder folder;
  const StoreOptions options{.keep = 100, .io = support::unsynced_io()};
  Store even(folder.path(), options);
  for (int64_t step = 0; step < 20; step += 2) {
    even.save(example_info(step), example_state(step));
    Store odd(folder.path(), options);  // its clean-up must leave the other's temporary folder alone
    odd.save(example_info(step + 1), example_state(step + 1));
  }
  even.wait();
  EXPECT_EQ(list_checkpoints(folder.path()).size(), 20u);
  for (int64_t step = 0; step < 20; ++step) {
    expect_same(load(folder.path() / ("step-" + std::to_string(step))).state, example_state(step));
  }
}

TEST(AsyncSave, TwoProcessesOnOneFolderDoNotDisturbEachOther) {
  const TemporaryFolder folder;
  const StoreOptions options{.keep = 100, .async = false, .io = support::unsynced_io()};
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
