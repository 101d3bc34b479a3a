// Tests when responses are verified.
#include "rl/rollout/rollout_worker.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "tests/rl/chain7_like.h"
#include "tests/support/tiny_model.h"

namespace terse::rl {
namespace {

class Counting final : public Chain7Like {
 public:
  using Chain7Like::Chain7Like;

  Verdict verify(const Item&, const Response&) const override {
    const std::lock_guard lock(mutex_);
    ++verified_;
    changed_.notify_all();
    return {.correct = true, .score = 1};
  }
  // Waits until so many responses have been verified; not forever. Returns whether they were.
  bool wait_for(int64_t responses) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return verified_ >= responses; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable int64_t verified_ = 0;
};

TEST(RollOut, VerifiesResponsesWhileOthersAreGenerated) {
  auto counting = std::make_unique<Counting>(default_config().task);
  const Counting& verifier = *counting;
  const TokenizedTask task(std::move(counting), nullptr, 1);
  trainer::Transformer model(support::tiny_spec({}, task.tokenizer().vocab_size()), torch::kCPU, 1);
  Engine engine(model, {.max_batch = 2});
  std::vector<Problem> problems;
  for (int64_t index = 0; index < 3; ++index) problems.push_back(task.problem(Split::kTrain, index));
  SamplingParams sampling;
  sampling.max_new_tokens = 4;
  sampling.n = 2;
  bool all = false;
  const std::vector<RolloutGroup> groups =
      roll_out(engine, task, problems, sampling, [&] { all = verifier.wait_for(6); });
  EXPECT_TRUE(all) << "the last token was sampled, and no response was being verified";
  ASSERT_EQ(groups.size(), problems.size());
  for (size_t i = 0; i < groups.size(); ++i) {
    EXPECT_EQ(groups[i].problem.prompt, problems[i].prompt);
    ASSERT_EQ(groups[i].rollouts.size(), 2u);
    for (int64_t sample = 0; sample < 2; ++sample) {
      const Rollout& rollout = groups[i].rollouts[static_cast<size_t>(sample)];
      EXPECT_EQ(rollout.sample, sample);
      EXPECT_EQ(rollout.status, VerifyStatus::kOk);
      EXPECT_EQ(rollout.length(), 4);
    }
  }
}

}  // namespace
}  // namespace terse::rl
