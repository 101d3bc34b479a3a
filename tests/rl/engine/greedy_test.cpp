// Tests that greedy generation always takes the likeliest token, gives equal samples, and runs no position beyond the
// context.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "rl/engine/engine.h"
#include "rl/eval/evaluation.h"
#include "tests/support/tiny_model.h"

namespace terse::rl {
namespace {

using terse::support::random_sequences;
using terse::support::tiny_spec;

std::vector<DrawKey> keys(size_t rows) {
  std::vector<DrawKey> keys(rows);
  for (size_t i = 0; i < rows; ++i) keys[i].sample = static_cast<int64_t>(i);
  return keys;
}

TEST(GreedySampling, DrawsTheLikeliestTokenWhateverTheRandomNumbers) {
  constexpr size_t kRows = 200;
  for (const double temperature : {0.0, 1e-300, 1e-40, 1e-38, 1e-30, 1e-9}) {
    std::vector<float> logits;
    for (size_t row = 0; row < kRows; ++row) logits.insert(logits.end(), {0.5f, -300, 2.25f, 2, 1e-20f});
    for (const Draw& draw : sample_rows(logits.data(), kRows, 5, {.temperature = temperature}, keys(kRows))) {
      ASSERT_EQ(draw.token, 2) << temperature;
      ASSERT_EQ(draw.logprob, 0) << temperature;
      ASSERT_EQ(draw.entropy, 0) << temperature;
    }
  }
}

TEST(GreedySampling, TiesGoToTheLowestId) {
  std::vector<float> logits = {1, 7, 7, 0, 7, 1, 1, 1, 1, 1};
  for (const Draw& draw : sample_rows(logits.data(), 1, 10, {.temperature = 0}, keys(1))) EXPECT_EQ(draw.token, 1);
}

TEST(GreedySampling, LogitsThatAreNotFiniteAreFoundUnderEveryTransform) {
  for (const trainer::LogitTransform& transform :
       {trainer::LogitTransform{}, {.temperature = 0}, {.top_k = 1}, {.top_p = 0.1}, {.min_p = 0.9}}) {
    for (const size_t bad : {0u, 2u, 3u}) {
      std::vector<float> logits = {1, 2, 3, 4};
      logits[bad] = std::nanf("");
      EXPECT_ANY_THROW(sample_rows(logits.data(), 1, 4, transform, keys(1))) << bad;
    }
  }
}

TEST(GreedySampling, EverySampleIsTheLearnersLikeliestResponse) {
  trainer::Transformer model(tiny_spec(), torch::kCPU, 5);
  Engine engine(model, {4});
  SamplingParams options;
  options.transform.temperature = 0;
  options.max_new_tokens = 20;
  const std::vector<int32_t> prompt = random_sequences({9}, 2)[0].tokens;
  options.n = 2;
  const auto completions = engine.generate(
      {{.prompt = prompt, .sampling = options}, {.prompt = prompt, .sampling = options, .key = 7, .first_sample = 2}});
  const std::vector<int32_t> tokens = completions.at(0).at(0).tokens;
  for (const std::vector<Completion>& samples : completions) {
    ASSERT_EQ(samples.size(), 2u);
    for (const Completion& completion : samples) {
      EXPECT_EQ(completion.tokens, tokens);
      EXPECT_THAT(completion.logprobs, ::testing::Each(0.0f));
    }
  }
  const data::Batch batch = data::pack({data::prompt_and_response(prompt, tokens)});
  torch::NoGradGuard no_grad;
  const torch::Tensor logits = at::linear(model.hidden(batch).x, model.params().head());
  const torch::Tensor likeliest = std::get<1>(logits.max(1));
  for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(likeliest[8 + i].item<int64_t>(), tokens.at(static_cast<size_t>(i))) << i;
}

TEST(GreedySampling, AnEvaluationAtTemperatureZeroGivesEqualSamples) {
  configs::Task config = default_config().task;
  config.options.set("k_max", 2);
  config.options.set("align_to", 2);
  const auto task = open_task(config, 1);
  trainer::Transformer model(tiny_spec(), torch::kCPU, 6);
  Engine engine(model, {16});
  EvalOptions options;
  options.problems_per_difficulty = 6;
  options.samples = 3;
  options.temperature = 0;
  options.max_new_tokens = 12;
  evaluate(engine, *task, options, [](const RolloutGroup& group) {
    for (const Rollout& rollout : group.rollouts) {
      EXPECT_EQ(rollout.tokens, group.rollouts[0].tokens);
      EXPECT_LE(rollout.length(), 12) << "the evaluation keeps to the run's longest response";
    }
  });
}

// Tests both decoders, with more pages than the longest sequence has and with fewer.
TEST(DecoderLimits, NoPositionBeyondTheLongestSequenceOrItsPagesIsRun) {
  trainer::Transformer model(tiny_spec(), torch::kCPU, 7);
  const int64_t longest = model.spec().max_seq_len;
  for (const auto make : {make_kernel_decoder, make_aten_decoder}) {
    const auto decoder = make(model, 2 * pages_for(longest));
    PageTable wide, narrow = {3};
    for (int32_t page = 0; page < 2 * pages_for(longest); ++page) wide.push_back(page);
    const auto run = [&](const PageTable& pages, int64_t position) {
      DecodeRows rows;
      rows.add(pages, 1, position);
      rows.want_last();
      decoder->forward(rows);
    };
    EXPECT_NO_THROW(run(wide, longest - 1));
    EXPECT_THROW(run(wide, longest), std::invalid_argument);
    EXPECT_NO_THROW(run(narrow, kPageTokens - 1));
    EXPECT_THROW(run(narrow, kPageTokens), std::invalid_argument);
    EXPECT_THROW(run(narrow, -1), std::invalid_argument);
  }
}

}  // namespace
}  // namespace terse::rl
