// Groups from ranks that only generate. The first rank that learns hands out the work and takes in the groups; all
// ranks that learn send weights.
//
// Work goes to the rank that has least of it. A group that takes much longer than usual is given to another rank, and
// the slow one is named; whichever finishes it first counts.
#pragma once

#include <chrono>
#include <map>

#include "rl/rollout_letters.h"
#include "rl/rollout_supply.h"
#include "rl/split_world.h"
#include "rl/straggler_limit.h"
#include "rl/weight_sync.h"
#include "trainer/dist/mailbox.h"

namespace terse::rl {

class RolloutPool final : public RolloutSupply {
 public:
  // Collective over the world; `split` and `session`, the learners', must outlive the pool.
  RolloutPool(SplitWorld& split, trainer::Session& session, const Task& task);

  // Where rollouts may be stale, weights are passed over while the transfer before is under way.
  void publish(int64_t version) override;
  void order(std::vector<Problem> problems) override;
  std::vector<RolloutGroup> collect(bool all) override;
  void drop() override;
  trainer::Metrics metrics() const override;

  // The samplers leave with the learners: `text` says what stopped the run, empty that it is complete.
  void end(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;
  struct Attempt {
    int64_t problem = 0, rank = 0;
    Clock::time_point since;
    bool slow = false;  // has been given to another rank, too
  };
  struct Sampler {
    int64_t under_way = 0, finished = 0;
    int64_t slow = 0;  // attempts that took too long
  };

  bool leads() const { return session_.leads(); }
  bool may_pass_over(int64_t version);
  void tell(int64_t rank, const Instruction& instruction);
  void hand_out(int64_t problem);
  void cancel(int64_t problem);
  std::vector<RolloutGroup> wait(bool all);
  void take_in(const trainer::Mailbox::Letter& letter, std::vector<RolloutGroup>& groups);
  void look_for_slow_ones();
  std::vector<int64_t> at_work() const;

  SplitWorld& split_;
  trainer::Session& session_;
  const Task& task_;
  const configs::Rl& config_;
  WeightSender sender_;
  int64_t sent_version_ = -1;  // given to the sender last
  bool stopped_ = false;       // a stop was asked for while the first rank waited for groups

  std::map<int64_t, Problem> ordered_;  // not yet collected, by index
  // Of the rank that leads.
  std::map<int64_t, Attempt> attempts_;  // by ticket
  std::map<int64_t, Sampler> samplers_;  // by rank of the world
  StragglerLimit limit_;
  int64_t next_ticket_ = 0;
  // For metrics.
  double sync_seconds_ = 0;  // that the learners waited in publish()
  int64_t given_again_ = 0, resent_ = 0;
  Transfer transfer_;
};

}  // namespace terse::rl
