// Tests which groups form a batch. Groups that teach nothing are replaced, groups that are too old are generated again,
// and each problem is used once.
#include "rl/rollout_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "rl/tasks/task.h"

namespace terse::rl {
namespace {

using ::testing::ElementsAre;

// Supplies groups in which every second rollout is right. A test chooses their versions, and which groups are uniform.
class ScriptedSupply final : public RolloutSupply {
 public:
  void publish(int64_t) override {}
  void order(std::vector<Problem> problems) override {
    for (Problem& problem : problems) {
      orders.push_back(problem.index);
      waiting.push_back(std::move(problem));
    }
  }
  std::vector<RolloutGroup> collect(bool all) override {
    std::vector<RolloutGroup> groups;
    while (!waiting.empty() && (all || groups.empty())) {
      // Without `all`, the newest order comes first: the caller must accept groups in any order.
      Problem problem = all ? waiting.front() : waiting.back();
      if (all) {
        waiting.pop_front();
      } else {
        waiting.pop_back();
      }
      RolloutGroup group{std::move(problem), {}};
      for (int64_t sample = 0; sample < 4; ++sample) {
        Rollout rollout;
        rollout.sample = sample;
        rollout.tokens = {1, 2};
        rollout.logprobs = rollout.entropies = {0.0f, 0.0f};
        rollout.versions = {version(group.problem.index), version(group.problem.index) + sample};
        rollout.correct = !uniform(group.problem.index) && sample % 2 == 0;
        rollout.score = rollout.correct ? 1 : 0;
        group.rollouts.push_back(std::move(rollout));
      }
      groups.push_back(std::move(group));
    }
    return groups;
  }
  void drop() override {}

  std::function<int64_t(int64_t problem)> version = [](int64_t) { return 0; };
  std::function<bool(int64_t problem)> uniform = [](int64_t) { return false; };
  std::deque<Problem> waiting;
  std::vector<int64_t> orders;
};

class Source : public ::testing::Test {
 protected:
  static configs::RunConfig config_of(int64_t staleness) {
    configs::RunConfig config = default_config();
    config.task.options.set("k_max", 2);
    config.task.options.set("align_to", 2);
    config.rl.prompts = 3;
    config.rl.penalty.kind = "none";
    config.rl.max_staleness = staleness;
    return config;
  }
  static std::vector<int64_t> indices(const std::vector<RolloutGroup>& groups) {
    std::vector<int64_t> out;
    for (const RolloutGroup& group : groups) out.push_back(group.problem.index - kFirst);
    return out;
  }
  std::vector<int64_t> orders() const {
    std::vector<int64_t> out;
    for (const int64_t index : supply.orders) out.push_back(index - kFirst);
    return out;
  }

  static constexpr int64_t kFirst = int64_t{1} << 32;
  std::unique_ptr<TokenizedTask> task = open_task(config_of(0).task, 1);
  CompressionController controller{*task};
  ScriptedSupply supply;
};

TEST_F(Source, WithoutStalenessItOrdersWhatItNeedsAndTakesItInOrder) {
  const configs::RunConfig config = config_of(0);
  RolloutSource source(config, *task, supply, controller);
  EXPECT_THAT(indices(source.next(0).groups), ElementsAre(0, 1, 2));
  EXPECT_THAT(orders(), ElementsAre(0, 1, 2));
  EXPECT_TRUE(source.ledger().outstanding().empty());
  supply.version = [](int64_t) { return 1; };
  // Two groups teach nothing and are replaced. One of the replacements teaches nothing either, and the last round
  // replaces it.
  supply.uniform = [](int64_t i) { return i == kFirst + 3 || i == kFirst + 5 || i == kFirst + 6; };
  const RolloutBatch batch = source.next(1);
  EXPECT_THAT(indices(batch.groups), ElementsAre(4, 7, 8));
  EXPECT_THAT(indices(batch.sampled), ElementsAre(3, 4, 5, 6, 7, 8));
  EXPECT_EQ(source.ledger().assigned(), 9);
}

TEST_F(Source, WhatCannotBeReplacedFillsUpTheBatch) {
  const configs::RunConfig config = config_of(0);
  RolloutSource source(config, *task, supply, controller);
  supply.uniform = [](int64_t i) { return i != kFirst + 4; };
  const RolloutBatch batch = source.next(0);
  EXPECT_THAT(indices(batch.groups), ElementsAre(4, 0, 1));
  EXPECT_EQ(batch.sampled.size(), 3u + 3 + 2);
}

TEST_F(Source, WithStalenessItOrdersAheadAndTakesGroupsAsTheyCome) {
  const configs::RunConfig config = config_of(2);
  RolloutSource source(config, *task, supply, controller);
  EXPECT_THAT(indices(source.next(0).groups), ElementsAre(8, 7, 6));
  EXPECT_EQ(source.ledger().assigned(), 9);  // 3 for this step, and two batches ahead
  EXPECT_EQ(source.ledger().outstanding().size(), 6u);
  EXPECT_THAT(indices(source.next(1).groups), ElementsAre(11, 10, 9));
}

TEST_F(Source, GroupsThatAreTooOldAreGeneratedAgainAndNeverLost) {
  const configs::RunConfig config = config_of(2);
  RolloutSource source(config, *task, supply, controller);
  int64_t newest = 0;
  std::map<int64_t, int64_t> asked;
  // Every third problem comes three versions late: all tokens of its first attempt, and only the first token of its
  // second one. The age of a group is that of its oldest token.
  supply.version = [&](int64_t i) { return i % 3 == 0 && asked[i] <= 8 ? (asked[i] += 1, newest - 3) : newest; };
  std::set<int64_t> used;
  int64_t stale = 0;
  for (newest = 3; newest < 40; ++newest) {
    const RolloutBatch batch = source.next(newest);
    stale += batch.stale;
    for (const RolloutGroup& group : batch.sampled) {
      EXPECT_TRUE(used.insert(group.problem.index).second) << "used twice";
      for (const Rollout& rollout : group.rollouts) EXPECT_LE(newest - rollout.oldest_version(), 2);
    }
  }
  EXPECT_GT(stale, 10);
  for (const int64_t problem : source.ledger().outstanding()) EXPECT_TRUE(used.insert(problem).second);
  EXPECT_EQ(static_cast<int64_t>(used.size()), source.ledger().assigned());
  EXPECT_EQ(*used.rbegin() - *used.begin() + 1, source.ledger().assigned());
}

TEST_F(Source, AResumedRunOrdersAgainWhatWasOutstanding) {
  const configs::RunConfig config = config_of(1);
  RolloutSource source(config, *task, supply, controller);
  source.next(0);
  const nlohmann::json state = source.ledger().state();
  ScriptedSupply other;
  RolloutSource resumed(config, *task, other, controller);
  resumed.restore(state);
  EXPECT_TRUE(other.orders.empty());  // weights must be published first
  resumed.next(1);
  const std::set<int64_t>& outstanding = source.ledger().outstanding();
  ASSERT_GE(other.orders.size(), outstanding.size());
  EXPECT_TRUE(std::equal(outstanding.begin(), outstanding.end(), other.orders.begin()));
}

TEST(LedgerTest, RefusesToUseAGroupTwice) {
  Ledger ledger(100);
  EXPECT_EQ(ledger.assign(), 100);
  EXPECT_THROW(ledger.consume(101), std::logic_error);
  ledger.consume(100);
  EXPECT_THROW(ledger.consume(100), std::logic_error);
}

}  // namespace
}  // namespace terse::rl
