// Compares the operations of a small model with counts by hand, and the work of a batch with its segments.
#include "trainer/speed/flops.h"

#include <gtest/gtest.h>

#include "tests/support/tiny_model.h"
#include "trainer/train.h"

namespace terse::trainer {
namespace {

using support::random_sequences;
using support::tiny_spec;

// A block has these weights: q, k and v (64 + 32 + 32) 48, out 48 64, gate and up 2 80 48, down 48 80.
constexpr double kBlock = 6144 + 3072 + 7680 + 3840, kHead = 16 * 48, kAttention = 2 * 64;

TEST(Flops, CountEachWeightThatMultipliesAndCausalAttention) {
  const TokenWork work{30, 12, 400};
  const double attention = 2 * kAttention * 400;
  EXPECT_EQ(forward_flops(tiny_spec(), work), 2 * (2 * kBlock * 30 + kHead * 12) + attention);
  EXPECT_EQ(training_flops(tiny_spec(), work), 7827456);
  EXPECT_EQ(training_flops(tiny_spec(), one_token(10)), 6 * (2 * kBlock + kHead) + 3 * 2 * kAttention * 10);
}

TEST(Flops, RecomputationNormsAndBiasesDoNotCount) {
  const ModelSpec more = tiny_spec({.qk_norm = true, .qkv_bias = true, .tied = false, .recompute = true});
  EXPECT_EQ(training_flops(more, {30, 12, 400}), training_flops(tiny_spec(), {30, 12, 400}));
}

// Rank 2 on all projections: q and out 2 (48 + 64), k and v 2 (48 + 32), gate, up and down 2 (48 + 80).
TEST(Flops, AFrozenWeightHasNoGradient) {
  ModelSpec spec = tiny_spec();
  spec.lora.rank = 2;
  const double adapters = 2 * (2 * 224 + 2 * 160 + 3 * 256);
  EXPECT_EQ(training_flops(spec, {30, 12, 400}),
            4 * (2 * kBlock * 30 + kHead * 12) + 6 * adapters * 30 + 3 * 2 * kAttention * 400);
  EXPECT_EQ(training_flops(spec, {30, 12, 400}), 5873664);
}

TEST(Flops, UtilisationIsTheShareOfThePeakAndNothingForNoWork) {
  EXPECT_DOUBLE_EQ(mfu(tiny_spec(), {30, 12, 400}, 0.5, 4 * 7827456.0).value(), 0.5);
  EXPECT_EQ(mfu(tiny_spec(), {30, 0, 400}, 0.5, 1e9), std::nullopt);
}

TEST(Flops, ABatchCountsItsTokensItsLossesAndTheSquaresOfItsSegments) {
  Transformer model(tiny_spec(), torch::kCPU, 5);
  data::Batch batch = data::pack(random_sequences({9, 30, 17}, 1));
  // The second sequence consists of two documents.
  batch.segments = torch::tensor({0, 9, 19, 39, 56}, torch::kInt32);
  const double rows = batch.weights.count_nonzero().item<double>();
  for (const int64_t micro_batch : {0, 1}) {
    const LossSum loss = accumulate_cross_entropy(model, {batch, 3}, {micro_batch});
    EXPECT_EQ(loss.work.tokens, 56);
    EXPECT_EQ(loss.work.head_rows, rows);
    EXPECT_EQ(loss.work.squared_lengths, 9 * 9 + 10 * 10 + 20 * 20 + 17 * 17);
  }
}

}  // namespace
}  // namespace terse::trainer
