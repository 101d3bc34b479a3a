// Tests that a verifier which hangs, throws, ends its thread or returns nonsense never becomes a score, and that the
// pool goes on after it.
#include "rl/tasks/verifier_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace terse::rl {
namespace {

// Lets calls that hang return at last.
class Gate {
 public:
  void wait() {
    std::unique_lock lock(mutex_);
    opened_.wait(lock, [&] { return open_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};

// Seconds. Far more than a verification takes that does not hang, even on a busy machine.
constexpr double kDeadline = 1;

// Does what the response says. "7" is right.
VerifierPool::Verify scripted(std::shared_ptr<Gate> gate) {
  return [gate](const Item&, const Response& response) -> Verdict {
    if (response.text == "hang") gate->wait();
    if (response.text == "throw") throw std::runtime_error("broken");
    if (response.text == "throw a number") throw 5;
    if (response.text == "die") pthread_exit(nullptr);
    if (response.text == "nan") return {.correct = true, .score = std::numeric_limits<double>::quiet_NaN()};
    if (response.text == "negative") return {.correct = true, .score = -0.5};
    if (response.text == "infinite") return {.correct = true, .score = std::numeric_limits<double>::infinity()};
    return verdict(response.text == "7");
  };
}

class Pool : public ::testing::Test {
 protected:
  ~Pool() override { gate->open(); }
  std::future<Verdict> submit(const std::string& text) { return pool.submit(std::make_shared<Item>(), {text, true}); }
  VerifyStatus status(const std::string& text) { return submit(text).get().status; }

  std::shared_ptr<Gate> gate = std::make_shared<Gate>();
  VerifierPool pool{scripted(gate), {.threads = 2, .deadline = kDeadline}};
};

TEST_F(Pool, JudgesManyResponses) {
  std::vector<std::future<Verdict>> verdicts;
  for (int i = 0; i < 500; ++i) verdicts.push_back(submit(std::to_string(i % 10)));
  for (int i = 0; i < 500; ++i) {
    const Verdict verdict = verdicts[static_cast<size_t>(i)].get();
    EXPECT_EQ(verdict.status, VerifyStatus::kOk);
    EXPECT_EQ(verdict.correct, i % 10 == 7);
    EXPECT_EQ(verdict.score, i % 10 == 7 ? 1 : 0);
  }
}

TEST_F(Pool, WhatTellsNothingIsAnErrorAndNotAScore) {
  for (const char* text : {"throw", "throw a number", "nan", "infinite", "negative", "die"}) {
    const Verdict verdict = submit(text).get();
    EXPECT_EQ(verdict.status, VerifyStatus::kError) << text;
    EXPECT_FALSE(verdict.correct) << text;
    EXPECT_EQ(verdict.score, 0) << text;
  }
}

TEST_F(Pool, AVerificationThatHangsTimesOut) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(status("hang"), VerifyStatus::kTimeout);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::duration<double>(kDeadline));
}

TEST_F(Pool, ThreadsThatAreLostAreReplaced) {
  std::vector<std::future<Verdict>> lost, good;
  for (int i = 0; i < 6; ++i) {
    lost.push_back(submit(i % 2 == 0 ? "hang" : "die"));
    good.push_back(submit("7"));
  }
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(lost[static_cast<size_t>(i)].get().status, i % 2 == 0 ? VerifyStatus::kTimeout : VerifyStatus::kError);
    EXPECT_TRUE(good[static_cast<size_t>(i)].get().correct);
  }
}

TEST_F(Pool, AnAnswerAfterTheDeadlineIsIgnored) {
  EXPECT_EQ(status("hang"), VerifyStatus::kTimeout);
  gate->open();
  EXPECT_TRUE(submit("7").get().correct);
}

TEST(VerifierPool, EndsWhileAVerificationHangs) {
  const auto gate = std::make_shared<Gate>();
  std::future<Verdict> verdict;
  {
    VerifierPool pool(scripted(gate), {.threads = 1, .deadline = kDeadline});
    verdict = pool.submit(std::make_shared<Item>(), {"hang", true});
  }
  EXPECT_EQ(verdict.get().status, VerifyStatus::kTimeout);
  gate->open();
}

TEST(VerifierPool, LetsGoOfTheVerifierWhenItEnds) {
  for (int i = 0; i < 200; ++i) {
    const auto held = std::make_shared<int>(1);
    {
      VerifierPool pool([held](const Item&, const Response&) { return verdict(*held == 1); }, {.threads = 4});
      for (int j = 0; j < 8; ++j) EXPECT_TRUE(pool.submit(std::make_shared<Item>(), {"7", true}).get().correct);
    }
    ASSERT_EQ(held.use_count(), 1) << "run " << i;
  }
}

TEST(VerifierPool, FinishesWhatWaitsBeforeItEnds) {
  std::vector<std::future<Verdict>> verdicts;
  {
    VerifierPool pool(scripted(std::make_shared<Gate>()), {.threads = 2});
    for (int i = 0; i < 100; ++i) verdicts.push_back(pool.submit(std::make_shared<Item>(), {"7", true}));
  }
  for (std::future<Verdict>& verdict : verdicts) EXPECT_TRUE(verdict.get().correct);
}

}  // namespace
}  // namespace terse::rl
