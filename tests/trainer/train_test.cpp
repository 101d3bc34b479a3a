// Checks loss and gradient of the whole model. They must not depend on the micro-batch or on recomputation, and updates
// must reduce the loss.
#include "trainer/train.h"

#include <gtest/gtest.h>

#include <cmath>

#include "data/windows.h"
#include "tests/support/tiny_model.h"
#include "trainer/optimizer.h"

namespace terse::trainer {
namespace {

using support::random_sequences;
using support::tiny_spec;

BatchShare whole(const data::Batch& batch) {
  return {batch, batch.sequence_count()};
}

torch::Tensor gradient(Transformer& model, const data::Batch& batch, int64_t micro_batch, double* loss = nullptr) {
  model.params().zero_grad();
  const LossSum sum = accumulate_cross_entropy(model, whole(batch), {micro_batch});
  if (loss != nullptr) *loss = sum.mean().value();
  model.params().finish_grad();
  return model.params().grad().clone();
}

void expect_the_same_for_every_micro_batch(Transformer& model, const data::Batch& batch) {
  double whole_loss = 0;
  const torch::Tensor at_once = gradient(model, batch, 0, &whole_loss);
  EXPECT_GT(at_once.norm().item<double>(), 0);
  for (const int64_t sequences : {1, 2, 3, 4}) {
    double loss = 0;
    const torch::Tensor split = gradient(model, batch, sequences, &loss);
    EXPECT_EQ(loss, whole_loss) << sequences;
    EXPECT_TRUE(torch::equal(split, at_once))
        << sequences << " sequences a pass; largest difference " << (split - at_once).abs().max().item<double>();
  }
}

TEST(Train, LossAndGradientDoNotDependOnTheMicroBatch) {
  for (const char* precision : {"fp32", "bf16"})
    for (const bool tied : {false, true}) {
      Transformer model(tiny_spec({.qk_norm = true, .qkv_bias = true, .tied = tied, .precision = precision}),
                        torch::kCPU, 5);
      expect_the_same_for_every_micro_batch(model, data::pack(random_sequences({9, 30, 17, 64, 5, 21, 40, 33}, 1)));
    }
}

// The forward pass takes 128 rows of logits at a time, and the backward pass of all rows a tenth of the vocabulary.
TEST(Train, NorDoTheyOnceTheLogitsGoThroughTheHeadInParts) {
  Transformer model(tiny_spec({}, 1 << 17), torch::kCPU, 5);
  expect_the_same_for_every_micro_batch(model, data::pack(random_sequences({150, 64, 160, 101, 90}, 1, 1 << 17)));
}

// Uses windows over documents of one to forty tokens, so that windows have several segments.
TEST(Train, NorDoTheyWhereWindowsAreOfSeveralDocuments) {
  std::vector<int32_t> tokens;
  std::vector<int64_t> documents;
  for (int64_t document = 1; document <= 40; document += 3) {
    documents.push_back(static_cast<int64_t>(tokens.size()));
    for (int64_t i = 0; i < document; ++i) tokens.push_back(static_cast<int32_t>((document * i + i * i) % 11));
  }
  const data::Windows windows(data::whole(std::make_shared<data::MemoryTokens>(tokens, documents)), 32, 5);
  const data::Batch batch = windows.batch({0, 1, 2, 3, 4, 5, 6});
  EXPECT_EQ(batch.sequence_count(), 7);
  EXPECT_GT(batch.segment_count(), 14);
  Transformer model(tiny_spec({.qk_norm = true, .qkv_bias = true}), torch::kCPU, 5);
  expect_the_same_for_every_micro_batch(model, batch);
}

TEST(Train, RecomputationChangesNoBit) {
  const data::Batch batch = data::pack(random_sequences({12, 50, 31}, 2));
  Transformer kept(tiny_spec(), torch::kCPU, 5), recomputed(tiny_spec({.recompute = true}), torch::kCPU, 5);
  EXPECT_TRUE(torch::equal(gradient(kept, batch, 0), gradient(recomputed, batch, 0)));
}

TEST(Train, GradientAgreesWithFiniteDifferences) {
  Transformer model(tiny_spec({.qk_norm = true, .qkv_bias = true, .tied = false}), torch::kCPU, 9);
  const data::Batch batch = data::pack(random_sequences({10, 25}, 3));
  const torch::Tensor grad = gradient(model, batch, 0);
  const torch::Tensor direction = grad / grad.norm();
  const double step = 1e-2;
  const auto loss_at = [&](double t) {
    torch::NoGradGuard no_grad;
    model.params().master().add_(direction * t);
    const double loss = cross_entropy(model, whole(batch)).mean().value();
    model.params().master().sub_(direction * t);
    return loss;
  };
  const double slope = (loss_at(step) - loss_at(-step)) / (2 * step);
  EXPECT_NEAR(slope, grad.norm().item<double>(), 0.01 * slope);
}

// A mean of 0 would look like a perfect loss.
TEST(Train, ABatchInWhichNoTokenCarriesALossHasNoMeanAndNoGradient) {
  Transformer model(tiny_spec(), torch::kCPU, 9);
  data::Batch batch = data::pack(random_sequences({10, 25}, 3));
  batch.weights.zero_();
  model.params().zero_grad();
  EXPECT_EQ(accumulate_cross_entropy(model, whole(batch), {}).mean(), std::nullopt);
  EXPECT_EQ(cross_entropy(model, whole(batch)).mean(), std::nullopt);
  model.params().finish_grad();
  EXPECT_EQ(model.params().grad().count_nonzero().item<int64_t>(), 0);
}

TEST(Train, ASecondBatchAddsToTheGradientWhateverTheMicroBatch) {
  const data::Batch first = data::pack(random_sequences({9, 30, 17}, 1)),
                    second = data::pack(random_sequences({25, 8}, 2));
  Transformer model(tiny_spec(), torch::kCPU, 9);
  const torch::Tensor sum = gradient(model, first, 0) + gradient(model, second, 0);
  const auto both = [&](int64_t micro_batch) {
    model.params().zero_grad();
    accumulate_cross_entropy(model, whole(first), {micro_batch});
    accumulate_cross_entropy(model, whole(second), {micro_batch});
    model.params().finish_grad();
    return model.params().grad().clone();
  };
  const torch::Tensor at_once = both(0);
  EXPECT_LT((at_once - sum).abs().max().item<double>(), 1e-6 * sum.abs().max().item<double>());
  EXPECT_TRUE(torch::equal(both(1), at_once));
}

// On the CPU the gradient of a tied head is summed separately from that of the embedding. The update must add both.
TEST(Train, AnUpdateCountsTheGradientOfATiedHead) {
  const data::Batch batch = data::pack(random_sequences({10, 25}, 3));
  Transformer model(tiny_spec(), torch::kCPU, 9);
  const double norm = gradient(model, batch, 0).norm().item<double>();
  AdamW optimizer(model.params(), {});
  model.params().zero_grad();
  accumulate_cross_entropy(model, whole(batch), {});
  EXPECT_NEAR(optimizer.step(1e-3).grad_norm, norm, 1e-6 * norm);
}

TEST(Train, MemorisesASmallBatch) {
  Transformer model(tiny_spec(), torch::kCPU, 4);
  configs::Optimizer options;
  options.lr = 5e-3;
  AdamW optimizer(model.params(), options);
  const data::Batch batch = data::pack(random_sequences({20, 20, 20, 20}, 6));
  const double before = cross_entropy(model, whole(batch)).mean().value();
  for (int step = 0; step < 150; ++step) {
    gradient(model, batch, 0);
    optimizer.step(options.lr);
  }
  EXPECT_GT(before, 2.0);
  EXPECT_LT(cross_entropy(model, whole(batch)).mean().value(), 0.1);
}

TEST(Train, ANonFiniteGradientChangesNothing) {
  Transformer model(tiny_spec(), torch::kCPU, 4);
  configs::Optimizer options;
  AdamW optimizer(model.params(), options);
  const torch::Tensor before = model.params().master().clone();
  model.params().grad().fill_(1.0);
  model.params().grad()[3] = std::nan("");
  EXPECT_FALSE(optimizer.step(1e-3).applied);
  EXPECT_TRUE(torch::equal(model.params().master(), before));
}

TEST(LearningRate, FollowsItsSchedule) {
  configs::Optimizer o;
  o.lr = 1.0;
  o.warmup_steps = 10;
  o.min_lr_ratio = 0.1;
  for (const char* schedule : {"constant", "linear", "cosine", "wsd"}) {
    o.schedule = schedule;
    EXPECT_DOUBLE_EQ(learning_rate(o, 0, 100), 0.1) << schedule;
    EXPECT_DOUBLE_EQ(learning_rate(o, 9, 100), 1.0) << schedule;
    EXPECT_NEAR(learning_rate(o, 100, 100), o.schedule == "constant" ? 1.0 : 0.1, 1e-12) << schedule;
  }
  o.schedule = "linear";
  EXPECT_NEAR(learning_rate(o, 55, 100), 0.55, 1e-12);
  o.schedule = "cosine";
  EXPECT_NEAR(learning_rate(o, 55, 100), 0.55, 1e-12);
  o.schedule = "wsd";
  EXPECT_DOUBLE_EQ(learning_rate(o, 80, 100), 1.0);
}

}  // namespace
}  // namespace terse::trainer
