// Every poll must find a request until it is taken, even a request that only another rank received.
// tests/launch/ranks_stop_test.py tests this with real ranks.
#include "trainer/signal_poll.h"

#include <gtest/gtest.h>

namespace terse::trainer {
namespace {

class SignalPollTest : public ::testing::Test {
 protected:
  Interrupts interrupts_;
  std::unique_ptr<World> world_ = World::start({});
  SignalPoll poll_{&interrupts_, *world_, torch::kCPU};
};

TEST_F(SignalPollTest, WithoutARequestWorkGoesOn) {
  EXPECT_TRUE(poll_.meet(true));
  EXPECT_FALSE(poll_.meet(false));
  EXPECT_EQ(poll_.take(), Interrupt::kNone);
  int looks = 0;
  poll_.during([&](const std::function<void()>& look) {
    for (; looks < 3; ++looks) look();
  });
  EXPECT_EQ(looks, 3);
}

TEST_F(SignalPollTest, AStopIsFoundAgainAndAgainUntilItIsTaken) {
  interrupts_.request(Interrupt::kSaveAndStop);
  EXPECT_THROW(poll_.meet(true), StopRequested);
  EXPECT_THROW(poll_.meet(false), StopRequested);
  EXPECT_EQ(poll_.take(), Interrupt::kSaveAndStop);
  EXPECT_FALSE(poll_.meet(false));
}

TEST_F(SignalPollTest, ASaveWaitsForTheEndOfAnEvaluation) {
  interrupts_.request(Interrupt::kSaveAndContinue);
  EXPECT_TRUE(poll_.meet(true));
  EXPECT_EQ(poll_.take(), Interrupt::kSaveAndContinue);
  EXPECT_EQ(poll_.take(), Interrupt::kNone) << "it has been taken";
}

TEST_F(SignalPollTest, WorkIsGivenUpAtTheLookThatFindsAStop) {
  int looks = 0;
  EXPECT_THROW(poll_.during([&](const std::function<void()>& look) {
    for (;; ++looks) {
      if (looks == 2) interrupts_.request(Interrupt::kSaveAndStop);
      look();
    }
  }),
               StopRequested);
  EXPECT_EQ(looks, 2);
}

TEST_F(SignalPollTest, WithoutInterruptsNothingIsEverAskedFor) {
  SignalPoll none(nullptr, *world_, torch::kCPU);
  EXPECT_FALSE(none.meet(false));
  EXPECT_EQ(none.take(), Interrupt::kNone);
  EXPECT_FALSE(none.stop_requested());
}

// Rank 0 of two ranks. Rank 1 is simulated: it contributes `theirs` to every reduction.
class FirstOfTwo final : public World, private Collectives {
 public:
  torch::Tensor theirs;

  const Place& place() const override { return place_; }
  Collectives& group(torch::Device) override { return *this; }
  std::vector<std::string> gather(std::string_view name, const std::string& mine) override {
    return alone_->gather(name, mine);
  }
  MessageChannel& messages() override { return alone_->messages(); }
  void enter(std::string_view) override {}
  [[noreturn]] void abort(int code, const std::string& message) override {
    alone_->abort(code, message);
    std::abort();
  }

 private:
  using Counts = std::vector<int64_t>;
  int64_t rank() const override { return 0; }
  int64_t size() const override { return 2; }
  torch::Device device() const override { return torch::kCPU; }
  const char* backend() const override { return "none"; }
  Work all_reduce(std::string_view name, torch::Tensor values, Reduce reduce) override {
    EXPECT_EQ(reduce, Reduce::kMax);
    values.copy_(torch::maximum(values, theirs));
    return real().all_reduce(name, values, reduce);
  }
  Work all_gather(std::string_view name, torch::Tensor mine, torch::Tensor all, Counts counts) override {
    return real().all_gather(name, mine, all, counts);
  }
  Work reduce_scatter(std::string_view name, torch::Tensor all, torch::Tensor mine, Counts counts) override {
    return real().reduce_scatter(name, all, mine, counts);
  }
  Work all_to_all(std::string_view name, torch::Tensor send, Counts sent, torch::Tensor receive,
                  Counts received) override {
    return real().all_to_all(name, send, sent, receive, received);
  }
  Work broadcast(std::string_view name, torch::Tensor values, int64_t root) override {
    return real().broadcast(name, values, root);
  }
  std::unique_ptr<Collectives> split(std::string_view name, int64_t color, int64_t key) override {
    return real().split(name, color, key);
  }
  Collectives& real() { return alone_->group(torch::kCPU); }

  std::unique_ptr<World> alone_ = World::start({});
  Place place_ = [this] {
    Place place = alone_->place();
    place.ranks = 2;
    return place;
  }();
};

TEST(SignalPollOfRanks, WhatAnotherRankHearsIsHeardHere) {
  FirstOfTwo world;
  Interrupts interrupts;
  SignalPoll poll(&interrupts, world, torch::kCPU);
  world.theirs = torch::tensor({int64_t{0}, int64_t{1}});  // no stop, still at work
  EXPECT_TRUE(poll.meet(false));
  world.theirs = torch::tensor({int64_t{0}, int64_t{0}});
  EXPECT_FALSE(poll.meet(false));
  world.theirs = torch::tensor({int64_t{1}, int64_t{0}});
  EXPECT_THROW(poll.meet(true), StopRequested);
  world.theirs = torch::tensor({static_cast<int64_t>(Interrupt::kSaveAndStop)});
  EXPECT_EQ(poll.take(), Interrupt::kSaveAndStop);
  EXPECT_FALSE(interrupts.stop_requested());
}

}  // namespace
}  // namespace terse::trainer
