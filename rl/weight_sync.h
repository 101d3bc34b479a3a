// The way of weights from the ranks that learn to those that only generate ("samplers").
//
// One transfer, collective over a group of both:
//   1. Unit by unit, every learner sends the part that it owns to every sampler.
//   2. Learners tell the hash of each part; samplers compare with the hash of what has come.
//   3. Samplers tell which units differ, and these are sent again.
// Both sides do this in the background. A sampler goes on with the weights that it has until the new ones are complete,
// verified and acknowledged to all; then it holds the learners' weights of that version, bit for bit (rounded to bf16
// where they travel in it).
#pragma once

#include <future>

#include "trainer/dist/collectives.h"
#include "trainer/model/params.h"

namespace terse::rl {

struct Transfer {
  int64_t version = -1;
  int64_t bytes = 0;   // that each sampler got, those sent again included
  int64_t resent = 0;  // units that had come damaged
  double seconds = 0;
};

// Which rank of the group sends which part; the same on all ranks.
struct TransferPlan {
  // Collective. Null: this rank is a sampler.
  TransferPlan(trainer::Collectives& group, const trainer::Sharding* learner);
  std::vector<int64_t> shard_of;  // of each rank: the part it sends; kNone: a learner that sends none; kSampler
  int64_t shards = 0, samplers = 0;
  static constexpr int64_t kNone = -1, kSampler = -2;
};

// On a learner.
class WeightSender {
 public:
  // Weights travel as `dtype`, fp32 or bf16. Everything must outlive the sender; the group is the sender's alone.
  WeightSender(const trainer::FlatParams& params, trainer::Collectives& group, torch::ScalarType dtype);
  ~WeightSender();

  // Sends the present weights in the background, from a copy. Waits for the transfer before.
  void start(int64_t version);
  bool busy() const;
  // Waits for the transfer under way, if there is one: then all samplers have acknowledged its version. The newest one.
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

// On a sampler.
class WeightReceiver {
 public:
  // `params` are those of a process alone; they change in finish() only.
  WeightReceiver(trainer::FlatParams& params, trainer::Collectives& group, torch::ScalarType dtype);
  ~WeightReceiver();

  void start(int64_t version);  // not while another transfer is under way
  bool under_way() const { return under_way_.valid(); }
  bool ready() const;  // finish() would not wait
  // Waits for the transfer under way and puts its weights in place. Throws LostError, with the old weights
  // still there, when they keep coming damaged.
  void finish();
  int64_t version() const { return version_; }  // of the acknowledged weights that params hold; -1: none yet

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
