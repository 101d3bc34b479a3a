// Saving in the background. The call takes no longer than the copy and saves the state at the time of the call, saves
// never overlap, and every failure is thrown.
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tests/checkpoints/support.h"

namespace terse::checkpoints {
namespace {

using support::CallbackFileSystem;
using support::Operation;
using ::testing::ElementsAre;

// Blocks every thread that calls pass() until the gate is opened.
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

// Blocks background writers at the gate before they read anything of the state.
std::shared_ptr<FileSystem> gated(Gate& gate) {
  return std::make_shared<CallbackFileSystem>(support::unsynced_file_system(), [&gate](const Operation& operation) {
    if (operation.kind == "make_folder") gate.pass();
  });
}

TEST(AsyncSave, ReturnsBeforeTheWriteAndKeepsTheStateOfTheCall) {
  const TemporaryFolder folder;
  Gate gate;
  Store store(folder.path(), {.fs = gated(gate)});
  const StateDict state = example_state(1);
  store.save(example_info(1), state);  // would block forever if the call itself wrote
  gate.wait_for_a_visitor();
  EXPECT_FALSE(load_latest(folder.path()).has_value());
  EXPECT_FALSE(store.idle(std::chrono::milliseconds(1)));
  for (const auto& [name, shard] : state.tensors) shard.data.zero_();
  gate.open();
  EXPECT_TRUE(store.idle(std::chrono::minutes(1)));
  store.wait();
  EXPECT_TRUE(store.idle(std::chrono::milliseconds(0)));
  expect_latest(folder.path(), 1);
}

TEST(AsyncSave, ASecondSaveWaitsForTheFirst) {
  const TemporaryFolder folder;
  Gate gate;
  std::mutex mutex;
  std::vector<std::string> order;  // steps whose folders were made or renamed
  const auto fs =
      std::make_shared<CallbackFileSystem>(support::unsynced_file_system(), [&](const Operation& operation) {
        if (operation.kind == "create") gate.pass();
        const std::string name = operation.path.filename();
        if (!name.starts_with("step-")) return;
        const std::lock_guard lock(mutex);
        if (operation.kind == "make_folder") order.push_back("begin " + name.substr(0, 6));
        if (operation.kind == "rename") order.push_back("end " + name);
      });
  Store store(folder.path(), {.fs = fs});
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
    Store store(folder.path(), {.fs = gated(gate)});
    store.save(example_info(1), example_state(1));
    gate.wait_for_a_visitor();
    opener = std::thread([&] { gate.open(); });
  }
  expect_latest(folder.path(), 1);
  opener.join();
}

TEST(AsyncSave, BuffersFollowAStateThatChangesItsTensors) {
  const TemporaryFolder folder;
  Store store(folder.path(), {.keep = 10, .fs = support::unsynced_file_system()});
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

TEST(AsyncSave, TheCallersThreadOnlyMeasuresTheFreeSpace) {
  const TemporaryFolder folder;
  const std::thread::id caller = std::this_thread::get_id();
  std::vector<std::string> in_call;  // operations of the caller's thread
  std::atomic<int> in_background = 0;
  const auto fs =
      std::make_shared<CallbackFileSystem>(support::unsynced_file_system(), [&](const Operation& operation) {
        if (std::this_thread::get_id() != caller) {
          ++in_background;
        } else {
          in_call.push_back(operation.kind);
        }
      });
  Store store(folder.path(), {.fs = fs});
  in_call.clear();
  for (int64_t step = 1; step <= 4; ++step) store.save(example_info(step), example_state(step));
  store.wait();
  EXPECT_THAT(in_call, ElementsAre("free_bytes", "free_bytes", "free_bytes", "free_bytes"));
  EXPECT_GT(in_background, 40);
}

// A store with checkpoint 1 on a disk that then breaks: saves and their clean-up fail.
class FailingSave : public ::testing::Test {
 protected:
  FailingSave() {
    store_->save(example_info(1), example_state(1));
    store_->wait();
    broken_ = true;
  }

  TemporaryFolder folder_;
  std::atomic<bool> broken_ = false;
  std::unique_ptr<Store> store_ = std::make_unique<Store>(
      folder_.path(), StoreOptions{.fs = std::make_shared<CallbackFileSystem>(
                                       support::unsynced_file_system(), [this](const Operation& operation) {
                                         const bool fails = operation.kind == "sync" || operation.kind == "remove";
                                         if (broken_ && fails) throw DiskError("cannot " + operation.kind, EIO);
                                       })});
};

TEST_F(FailingSave, ComesOutOfTheNextSaveOnceAndTheRunGoesOn) {
  store_->save(example_info(2), example_state(2));
  EXPECT_THROW(store_->save(example_info(3), example_state(3)), DiskError);
  expect_latest(folder_.path(), 1);
  broken_ = false;
  EXPECT_NO_THROW(store_->wait());
  store_->save(example_info(4), example_state(4));
  store_->wait();
  expect_latest(folder_.path(), 4);
  EXPECT_THAT(names_in(folder_.path()), ElementsAre("latest", "step-1", "step-4"));
}

TEST_F(FailingSave, ComesOutOfAWaitOnce) {
  store_->save(example_info(2), example_state(2));
  EXPECT_THROW(store_->wait(), DiskError);
  EXPECT_NO_THROW(store_->wait());
  broken_ = false;
  store_->save(example_info(2), example_state(2));
  store_->wait();
  expect_latest(folder_.path(), 2);
  EXPECT_THAT(names_in(folder_.path()), ElementsAre("latest", "step-1", "step-2"));
}

TEST_F(FailingSave, EachComesOut) {
  for (int64_t step = 2; step < 6; ++step) {
    store_->save(example_info(step), example_state(step));
    EXPECT_THROW(store_->save(example_info(step), example_state(step)), DiskError) << step;
  }
  EXPECT_NO_THROW(store_->wait());
}

TEST_F(FailingSave, IsNotForgottenOverALoadOrACallThatIsRefused) {
  store_->save(example_info(2), example_state(2));
  EXPECT_EQ(store_->load_latest()->info.step, 1);
  StateDict impossible;
  impossible.extra["loss"] = std::nan("");
  EXPECT_THROW(store_->save(example_info(3), impossible), DiskError);
  EXPECT_THROW(store_->save(example_info(3), impossible), std::invalid_argument);
}

TEST_F(FailingSave, IsPrintedWhenNobodyAsks) {
  store_->save(example_info(2), example_state(2));
  ::testing::internal::CaptureStderr();
  store_.reset();
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "terse: the last checkpoint was not saved: cannot sync\n");
}

}  // namespace
}  // namespace terse::checkpoints
