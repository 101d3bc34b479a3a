// Measures the memory of each rank in a run of 30 million parameters. Compares it with what ZeRO promises (each of N
// ranks holds 1/N of the state) and with the plan. Run it with 1, 2 and 4 ranks under mpirun; two ranks count as a
// node. Every rank checks its own bytes, and the program fails on all ranks when one fails. Rank 0 prints a table.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "launch/plan/stage_memory.h"
#include "tests/support/tensor_bytes.h"
#include "tests/support/tiny_model.h"
#include "trainer/device.h"
#include "trainer/learners.h"
#include "trainer/optimizer.h"
#include "trainer/train.h"

namespace terse::trainer {
namespace {

namespace plan = launch::plan;

constexpr int64_t kRanksPerNode = 2;
World* world = nullptr;

struct Bytes {
  double weights = 0, moments = 0, gradients = 0;  // after an update; weights include master weights
  double peak = 0;                                 // of all tensors during an update, on the rank with the most
};

// A model of 30 million parameters. They take more memory than the activations of 8 sequences of 64 tokens.
plan::Run thirty_million(int64_t zero, int64_t micro_batch = 0) {
  plan::Run run;
  run.config.stages = {"pretrain"};
  configs::Model& model = run.config.model;
  model.layers = 8;
  model.hidden_size = 512;
  model.heads = 8;
  model.max_seq_len = 64;
  run.config.pretrain.batch_size = 8;
  run.config.pretrain.micro_batch = micro_batch;
  run.config.parallel.zero = zero;
  run.vocab = 4096;
  run.machine = configs::load_hardware("laptop");
  run.ranks = world->place().ranks;
  run.ranks_per_node = kRanksPerNode;
  return run;
}

// A small model with other options, and batches that do not divide evenly.
plan::Run odd(int64_t zero, bool bf16) {
  plan::Run run = thirty_million(zero, 2);
  configs::Model& model = run.config.model;
  model.layers = 4;
  model.hidden_size = 128;
  model.heads = 4;
  model.kv_heads = 2;
  model.qk_norm = model.qkv_bias = true;
  model.tie_embeddings = false;
  model.precision = bf16 ? "bf16" : "fp32";
  run.config.pretrain.batch_size = 11;
  run.vocab = 1000;
  return run;
}

// Waits until all transfers have finished and their buffers are freed, because the buffers count, too. The threads of a
// group free a buffer only when they reach the next operation, so every group runs a barrier.
void finish_transfers(FlatParams& params) {
  for (size_t unit = 0; unit < params.units() && !params.gathers_on_demand(); ++unit) params.open(unit);
  const Sharding& sharding = params.sharding();
  for (Collectives* group : {sharding.shards, sharding.replicas, sharding.everyone})
    if (group != nullptr) barrier(*group, "transfers have finished");
}

Bytes measure(const plan::Run& run) {
  const Learners learners(run.config.parallel, *world, torch::kCPU);
  const support::CountTensorBytes count;
  Bytes bytes;
  Transformer model(run.spec(), torch::kCPU, 1, learners.sharding());
  FlatParams& params = model.params();
  finish_transfers(params);
  const double without_moments = count.bytes().now();
  AdamW optimizer(params, {});
  bytes.moments = count.bytes().now() - without_moments;
  {
    const auto batch = BatchShare::own(model, run.config.pretrain.batch_size, [&](SequenceRange share) {
      std::vector<data::Sequence> sequences = support::random_sequences(
          std::vector<int64_t>(static_cast<size_t>(share.count()), run.config.model.max_seq_len), 1, run.vocab);
      for (data::Sequence& sequence : sequences) std::fill(sequence.weights.begin() + 1, sequence.weights.end(), 1.0f);
      return data::pack(sequences);
    });
    params.zero_grad();
    accumulate_cross_entropy(model, batch, {run.config.pretrain.micro_batch});
    optimizer.step(1e-3);
  }
  bytes.gradients = static_cast<double>(params.owned_grad(0).storage().nbytes());
  if (params.whole_grad().defined() && !params.whole_grad().is_alias_of(params.grad()))
    bytes.gradients += static_cast<double>(params.whole_grad().nbytes());
  finish_transfers(params);
  bytes.weights = count.bytes().now() - bytes.moments - bytes.gradients - static_cast<double>(model.rope().nbytes());
  // The plan describes the rank with the largest share, so it is compared with the largest peak.
  const torch::Tensor peak = torch::full({1}, count.bytes().peak(), torch::kFloat64);
  world->group(torch::kCPU).all_reduce("peak", peak, Reduce::kMax).wait();
  bytes.peak = peak.item<double>();
  return bytes;
}

void expect_tenth(double found, double expected, const char* what) {
  EXPECT_NEAR(found / expected, 1, 0.1) << what << ": " << found / 0x1p20 << " MiB, expected " << expected / 0x1p20;
}

void expect_promised(const plan::Run& run) {
  const configs::Parallel& parallel = run.config.parallel;
  const plan::StagePlan plan = plan::plan_stage(run, "pretrain");
  const std::string name = fmt::format("D {} {}, {} ranks, ZeRO-{}{}, {} sequences a pass",
                                       run.config.model.hidden_size, run.config.model.precision, run.ranks,
                                       parallel.zero, parallel.hierarchical ? " in each node" : "", plan.micro_batch);
  SCOPED_TRACE(name);
  const Bytes bytes = measure(run);
  const bool alone = run.ranks == 1, bf16 = run.spec().bf16;
  const auto parameters = static_cast<double>(ParamLayout(run.spec()).size);
  const double part = parameters / static_cast<double>(parallel.hierarchical ? kRanksPerNode : run.ranks);
  expect_tenth(bytes.moments, 8 * part, "moments");
  // There are working weights besides the master weights, unless both are the same or the working weights are gathered
  // on demand.
  const bool none = parallel.zero == 3 || (alone && !bf16);
  expect_tenth(bytes.weights, 4 * part + (none ? 0 : (bf16 ? 2 : 4) * parameters), "weights");
  const double planned = total_bytes(plan::step_memory(run, plan::shape_of(run, "pretrain")));
  expect_tenth(planned, bytes.peak, "planned");
  if (world->place().rank == 0)
    fmt::print(
        "{:<70} weights {:5.1f}, moments {:5.1f}, gradients {:5.1f}; peak {:6.1f}, planned {:6.1f} MiB ({:.3f})\n",
        name, bytes.weights / 0x1p20, bytes.moments / 0x1p20, bytes.gradients / 0x1p20, bytes.peak / 0x1p20,
        planned / 0x1p20, planned / bytes.peak);
}

// The ZeRO stages to test. They make no difference to a single process.
std::vector<int64_t> stages() {
  if (world->place().ranks == 1) return {1};
  return {1, 2, 3};
}

TEST(MemoryOfRanks, IsWhatZeroPromisesAndWhatIsPlanned) {
  for (const int64_t zero : stages()) expect_promised(thirty_million(zero));
}

TEST(MemoryOfRanks, OfSeveralPassesIsWhatIsPlanned) {
  for (const int64_t zero : stages()) expect_promised(thirty_million(zero, 1));
}

TEST(MemoryOfRanks, OfOtherModelsIsWhatIsPlanned) {
  for (const int64_t zero : stages()) {
    expect_promised(odd(zero, false));
    expect_promised(odd(zero, true));
  }
}

TEST(MemoryOfRanks, OfStatesSharedInsideANodeIsWhatIsPlanned) {
  if (world->place().nodes == 1) GTEST_SKIP() << "one node";
  for (const int64_t zero : {1, 3}) {
    plan::Run run = thirty_million(zero);
    run.config.parallel.hierarchical = true;
    expect_promised(run);
  }
}

}  // namespace
}  // namespace terse::trainer

int main(int argc, char** argv) {
  using namespace terse::trainer;
  testing::InitGoogleTest(&argc, argv);
  const auto here = World::start({.deadline = 60, .ranks_per_node = kRanksPerNode});
  world = here.get();
  set_threads(1);
  torch::Tensor failed = torch::full({1}, RUN_ALL_TESTS(), torch::kInt32);
  world->group(torch::kCPU).all_reduce("failed", failed, Reduce::kMax).wait();
  return failed.item<int32_t>();
}
