// The supply of groups from ranks that only generate. The first rank that learns assigns the problems and receives the
// groups. All ranks that learn send weights.
//
// A problem goes to the rank with the fewest groups in progress. When a group takes much longer than usual, a second
// rank generates it as well, and the log names the slow rank. The attempt that finishes first counts.
#pragma once

#include <chrono>
#include <map>
#include <optional>

#include "rl/async/rollout_messages.h"
#include "rl/async/split_world.h"
#include "rl/async/straggler_limit.h"
#include "rl/async/weight_sync.h"
#include "rl/rollout/rollout_supply.h"
#include "trainer/parallel/mpi/message_channel.h"

namespace terse::rl {

class RolloutPool final : public RolloutSupply {
 public:
  // Collective over the whole world. `split`, `session` (the learners') and `task` must outlive the pool.
  RolloutPool(SplitWorld& split, trainer::Session& session, const TokenizedTask& task);

  // Skips these weights while the previous transfer is in progress, unless the samplers' weights are rl.max_staleness
  // versions behind already. At rl.max_staleness 0 or 1 it never skips.
  void publish(int64_t version) override;
  void order(std::vector<Problem> problems) override;
  std::vector<RolloutGroup> collect(bool all) override;
  void drop() override;
  trainer::Metrics metrics() const override;

  // Ends the samplers. `text`: why the run stopped; empty: it is complete.
  void end(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;
  struct Attempt {
    int64_t problem = 0, rank = 0;
    Clock::time_point since;
    bool slow = false;  // has exceeded the limit, so another rank got the problem, too
  };
  struct Sampler {
    int64_t under_way = 0, finished = 0;
    int64_t slow = 0;  // attempts that took too long
  };

  bool leads() const { return session_.leads(); }
  bool may_skip_transfer(int64_t version);
  void send(int64_t rank, const Instruction& instruction);
  void assign(int64_t problem);
  void cancel(int64_t problem);
  void await_transfer();
  std::vector<RolloutGroup> wait(bool all);
  void handle_messages(std::optional<trainer::MessageChannel::Message> message);
  void regenerate_slow_groups();
  std::vector<int64_t> busy_samplers() const;

  SplitWorld& split_;
  trainer::Session& session_;
  const TokenizedTask& task_;
  const configs::Rl& config_;
  WeightSender sender_;
  int64_t sent_version_ = -1;  // of the weights that were sent last; -1: none
  bool stopped_ = false;       // a stop request arrived while the first rank waited for groups

  std::map<int64_t, Problem> ordered_;  // problems not yet collected, by index
  // Used by the leading rank only.
  std::map<int64_t, Attempt> attempts_;  // by ticket
  std::map<int64_t, Sampler> samplers_;  // by rank of the world
  std::vector<RolloutGroup> arrived_;    // groups that collect() has not returned yet
  StragglerLimit limit_;
  int64_t next_ticket_ = 0;
  // For metrics.
  double sync_seconds_ = 0;  // that the learners spent in the latest publish()
  int64_t regenerated_ = 0, resent_ = 0;
  Transfer transfer_;
};

}  // namespace terse::rl
