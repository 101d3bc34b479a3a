// Transfers weights from the ranks that learn to those that only generate ("samplers").
//
// One transfer is collective over a group of both:
//   1. Unit by unit, the learners send the parts that they own to every sampler.
//   2. The learners send the hash of each part, and the samplers compare it with the hash of what they received.
//   3. The samplers report the units that differ, and the learners send these again.
// Both sides do this in the background. A sampler keeps its old weights until the new ones are complete, verified and
// acknowledged by all samplers. Then it holds the learners' weights of that version, bit for bit (rounded to bf16 if
// they are sent in bf16).
//
// With LoRA, transfers consist of the adapters alone. The frozen weights are transferred once, before the first of
// them, when the two sides are constructed.
#pragma once

#include <future>

#include "configs/run_config.h"
#include "trainer/model/params.h"
#include "trainer/parallel/collectives/collectives.h"

namespace terse::rl {

// Returns the dtype in which weights are sent to the ranks that generate (parallel.weight_transfer). `bf16_model`: the
// model computes in bf16. `cuda`: it is on a GPU.
torch::ScalarType transfer_dtype(const configs::Parallel& config, bool bf16_model, bool cuda);

struct Transfer {
  int64_t version = -1;
  int64_t bytes = 0;   // that each sampler received, including resent units
  int64_t resent = 0;  // units that arrived damaged and were sent again
  double seconds = 0;
};

// Which rank of the group sends which part; the same on all ranks.
struct TransferPlan {
  // Collective. `learner`: how this rank shards the model; null on a sampler.
  TransferPlan(trainer::Collectives& group, const trainer::Sharding* learner);
  // For each rank: the shard that it sends; kNone: a learner that sends nothing; kSampler: a sampler.
  std::vector<int64_t> shard_of;
  int64_t shards = 0, samplers = 0;
  static constexpr int64_t kNone = -1, kSampler = -2;
};

// The learner's side of transfers.
class WeightSender {
 public:
  // Collective over `group`, which nothing else may use. Weights are sent as `dtype`, fp32 or bf16. `params` and
  // `group` must outlive the sender.
  WeightSender(const trainer::FlatParams& params, trainer::Collectives& group, torch::ScalarType dtype);
  ~WeightSender();

  // Waits for the previous transfer, then sends a copy of the current weights in the background. Throws as finish()
  // does.
  void start(int64_t version);
  bool busy() const { return !idle_within(0); }
  // Waits for the transfer in progress, for at most `seconds`. Returns whether none is in progress any more.
  bool idle_within(double seconds) const;
  // Waits for the transfer in progress, if there is one. Returns the newest transfer, which all samplers have
  // acknowledged. Throws LostError when units keep arriving damaged.
  Transfer finish();

 private:
  Transfer send(int64_t version, torch::Tensor own);

  const trainer::FlatParams& params_;
  trainer::Collectives& group_;
  const torch::ScalarType dtype_;
  const TransferPlan plan_;
  std::future<Transfer> under_way_;
  Transfer newest_;
};

// The sampler's side of transfers.
class WeightReceiver {
 public:
  // Collective over `group`, which nothing else may use. `params` must not be sharded; only finish() changes them.
  // `params` and `group` must outlive the receiver.
  WeightReceiver(trainer::FlatParams& params, trainer::Collectives& group, torch::ScalarType dtype);
  ~WeightReceiver();

  void start(int64_t version);  // requires that no transfer is in progress
  bool under_way() const { return under_way_.valid(); }
  bool ready() const;  // finish() would not block
  // Waits for the transfer in progress and installs its weights. Throws LostError, and keeps the old weights, when
  // units keep arriving damaged.
  void finish();
  int64_t version() const { return version_; }  // of the weights that params hold; -1: none yet

 private:
  void receive(int64_t version);
  void fetch(const std::vector<size_t>& units);
  std::vector<size_t> damaged(int64_t version, const std::vector<size_t>& units);

  trainer::FlatParams& params_;
  trainer::Collectives& group_;
  const torch::ScalarType dtype_;
  const TransferPlan plan_;
  torch::Tensor incoming_;  // laid out like the params
  std::future<int64_t> under_way_;
  int64_t version_ = -1;
};

}  // namespace terse::rl
