// Tests the promises of generation: tokens do not depend on the batch, and log-probs are the learner's, bit for bit.
#include "rl/engine/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "rl/update/policy_update.h"
#include "tests/support/tiny_model.h"

namespace terse::rl {
namespace {

using terse::support::random_sequences;
using terse::support::tiny_spec;
using terse::support::TinyShape;

std::vector<GenerationRequest> requests_of(const std::vector<int64_t>& prompt_lengths, int64_t samples) {
  std::vector<GenerationRequest> requests;
  int64_t problem = 0;
  for (const data::Sequence& s : random_sequences(prompt_lengths, 11)) {
    for (int64_t sample = 0; sample < samples; ++sample)
      requests.push_back({.prompt = s.tokens, .key = problem, .first_sample = sample});
    ++problem;
  }
  return requests;
}

SamplingParams sampling(trainer::LogitTransform transform = {}) {
  SamplingParams params;
  params.transform = transform;
  params.max_new_tokens = 40;
  params.stop_token_ids = {14};
  params.seed = 3;
  return params;
}

std::vector<GenerationRequest> with(std::vector<GenerationRequest> requests, const SamplingParams& params) {
  for (GenerationRequest& request : requests) request.sampling = params;
  return requests;
}

// Runs requests of one sample each.
std::vector<Completion> generate(Engine& engine, const std::vector<GenerationRequest>& requests,
                                 const SamplingParams& params) {
  std::vector<Completion> completions;
  for (std::vector<Completion>& samples : engine.generate(with(requests, params)))
    completions.push_back(std::move(samples.at(0)));
  return completions;
}

void expect_equal(const std::vector<Completion>& a, const std::vector<Completion>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].tokens, b[i].tokens) << i;
    EXPECT_EQ(a[i].logprobs, b[i].logprobs) << i;
    EXPECT_EQ(a[i].finish, b[i].finish) << i;
  }
}

// k_proj and gate_proj have no adapters.
const configs::Lora kLora{.rank = 3,
                          .alpha = 5,
                          .dropout = 0.5,
                          .targets = {"q_proj", "v_proj", "o_proj", "up_proj", "down_proj"},
                          .init = ""};

class EngineShapes : public ::testing::TestWithParam<TinyShape> {};

TEST_P(EngineShapes, LogProbsAreTheLearnersBitForBit) {
  trainer::Transformer model(tiny_spec(GetParam()), torch::kCPU, 21);
  if (model.spec().has_adapters()) support::randomise_adapters(model, 5);
  const trainer::LogitTransform transforms[] = {
      {}, {.temperature = 0.7}, {.temperature = 1.2, .top_k = 6, .top_p = 0.9, .min_p = 0.02}};
  for (const trainer::LogitTransform& transform : transforms) {
    Engine engine(model, {8});
    const auto requests = requests_of({1, 5, 16, 19, 33}, 4);
    const std::vector<Completion> completions = generate(engine, requests, sampling(transform));
    std::vector<data::Sequence> sequences;
    std::vector<float> recorded;
    for (size_t i = 0; i < requests.size(); ++i) {
      sequences.push_back(data::prompt_and_response(requests[i].prompt, completions[i].tokens));
      recorded.insert(recorded.end(), completions[i].logprobs.begin(), completions[i].logprobs.end());
    }
    const data::Batch batch = data::pack(sequences);
    const auto learner = model.logprobs(batch, batch.weights.nonzero().squeeze(1), transform);
    EXPECT_TRUE(torch::equal(learner.logprob.detach(), torch::tensor(recorded)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, EngineShapes,
    ::testing::Values(TinyShape{}, TinyShape{.qkv_bias = true, .tied = false, .kv_heads = 4},
                      TinyShape{.qk_norm = true, .kv_heads = 1}, TinyShape{.qkv_bias = true, .lora = kLora},
                      TinyShape{.precision = "bf16"},
                      TinyShape{.qk_norm = true, .qkv_bias = true, .tied = false, .precision = "bf16"},
                      TinyShape{.lora = kLora, .precision = "bf16"}, TinyShape{.kv_cache_dtype = "bf16"},
                      TinyShape{.precision = "bf16", .kv_cache_dtype = "fp32"}));

TEST(Engine, TrajectoriesDoNotDependOnTheBatch) {
  trainer::Transformer model(tiny_spec(), torch::kCPU, 22);
  const auto requests = requests_of({3, 19, 19, 40, 7}, 6);
  Engine wide(model, {64});
  const std::vector<Completion> expected = generate(wide, requests, sampling());
  for (const int64_t max_batch : {1, 2, 7, 13}) {
    Engine narrow(model, {max_batch});
    expect_equal(generate(narrow, requests, sampling()), expected);
  }
  // Some of the requests, each alone.
  Engine engine(model, {5});
  for (size_t i = 0; i < requests.size(); i += 7)
    expect_equal(generate(engine, {requests[i]}, sampling()), {expected[i]});
}

TEST(Engine, StopsAtTheEndTokenOrTheLimit) {
  trainer::Transformer model(tiny_spec(), torch::kCPU, 23);
  Engine engine(model, {16});
  bool stopped = false;
  for (const Completion& c : generate(engine, requests_of({4, 9}, 30), sampling())) {
    ASSERT_FALSE(c.tokens.empty());
    const auto end = std::find(c.tokens.begin(), c.tokens.end(), 14);
    if (c.finish == FinishReason::kStop) {
      EXPECT_EQ(end, c.tokens.end() - 1);
      stopped = true;
    } else {
      EXPECT_EQ(end, c.tokens.end());
      EXPECT_EQ(c.tokens.size(), 40u);
    }
    EXPECT_EQ(c.tokens.size(), c.logprobs.size());
  }
  EXPECT_TRUE(stopped);
}

// At this temperature all tokens are almost equally likely, so a response reveals its random numbers.
TEST(Engine, EveryTokenIsDrawnByANumberOfItsOwn) {
  trainer::Transformer model(tiny_spec(), torch::kCPU, 23);
  Engine engine(model, {16});
  SamplingParams hot = sampling({.temperature = 1000});
  hot.stop_token_ids.clear();
  const std::vector<int32_t> prompt = {1, 2, 3};
  const auto draw = [&](int64_t problem, int64_t sample) {
    return generate(engine, {{.prompt = prompt, .key = problem, .first_sample = sample}}, hot).front().tokens;
  };
  const std::vector<int32_t> first = draw(0, 0);
  EXPECT_GT(std::set<int32_t>(first.begin(), first.end()).size(), 10u) << "of 16, in 40 draws";
  EXPECT_EQ(draw(0, 0), first);
  EXPECT_NE(draw(0, 1), first) << "another sample";
  EXPECT_NE(draw(1, 0), first) << "another problem";
  hot.stream = RandomStream::kEvalSample;
  EXPECT_NE(draw(0, 0), first) << "another stream";
  hot = sampling({.temperature = 1000});
  hot.seed += 1;
  EXPECT_NE(draw(0, 0), first) << "another seed";
}

TEST(Engine, SamplesFromTheModelsDistribution) {
  trainer::Transformer model(tiny_spec(), torch::kCPU, 24);
  Engine engine(model, {256});
  SamplingParams options = sampling();
  options.max_new_tokens = 1;
  std::vector<GenerationRequest> requests;
  for (int64_t i = 0; i < 4000; ++i) requests.push_back({.prompt = {1, 2, 3}, .first_sample = i});
  std::vector<double> share(16, 0.0), probability(16, 0.0);
  for (const Completion& c : generate(engine, requests, options)) {
    share[static_cast<size_t>(c.tokens[0])] += 1.0 / 4000;
    probability[static_cast<size_t>(c.tokens[0])] = std::exp(c.logprobs[0]);
  }
  for (size_t v = 0; v < 16; ++v) EXPECT_NEAR(share[v], probability[v], 5 * std::sqrt(0.25 / 4000)) << v;
  EXPECT_NEAR(std::accumulate(probability.begin(), probability.end(), 0.0), 1.0, 0.01);
}

TEST(Engine, RefusesWhatDoesNotFitTheContext) {
  trainer::Transformer model(tiny_spec(), torch::kCPU, 25);
  Engine engine(model, {4});
  EXPECT_THROW(generate(engine, requests_of({125}, 1), sampling()), std::invalid_argument);
  EXPECT_THROW(generate(engine, {GenerationRequest{}}, sampling()), std::invalid_argument);
}

// The learner's log-prob of each response token under the model's current weights.
std::vector<float> learner_logprobs(trainer::Transformer& model, const std::vector<int32_t>& prompt,
                                    const Completion& completion) {
  const data::Batch batch = data::pack({data::prompt_and_response(prompt, completion.tokens)});
  const torch::Tensor logprob = model.logprobs(batch, batch.weights.nonzero().squeeze(1)).logprob.detach().contiguous();
  return {logprob.data_ptr<float>(), logprob.data_ptr<float>() + logprob.numel()};
}

// Weights change in the middle of rollouts. Every token's log-prob must be that of its version's weights, bit for bit,
// even if older weights first computed the keys and values of earlier tokens.
TEST(Engine, NewWeightsMidwayGiveEachTokenItsVersion) {
  trainer::Transformer model(tiny_spec({.qk_norm = true}), torch::kCPU, 27);
  std::vector<torch::Tensor> weights = {model.params().master().clone()};
  const auto requests = requests_of({3, 19, 7, 40}, 2);
  Engine engine(model, {5});  // some requests begin with later weights
  engine.refresh(0);
  for (const GenerationRequest& request : with(requests, sampling())) engine.submit(request);
  std::vector<Completion> completions(requests.size());
  int64_t steps = 0, changes = 0;
  for (; !engine.idle(); ++steps) {
    for (Engine::Finished& each : engine.step())
      completions[static_cast<size_t>(each.ticket)] = std::move(each.completion);
    if (steps % 6 != 5) continue;
    torch::NoGradGuard no_grad;
    model.params().master().mul_(0.9);
    model.params().publish();
    weights.push_back(model.params().master().clone());
    engine.refresh(++changes);
  }
  ASSERT_GT(changes, 3);
  std::vector<std::vector<std::vector<float>>> by_version;
  for (const torch::Tensor& version : weights) {
    torch::NoGradGuard no_grad;
    model.params().master().copy_(version);
    model.params().publish();
    by_version.emplace_back();
    for (size_t i = 0; i < requests.size(); ++i)
      by_version.back().push_back(learner_logprobs(model, requests[i].prompt, completions[i]));
  }
  size_t mixed = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    const Completion& c = completions[i];
    ASSERT_EQ(c.versions.size(), c.tokens.size());
    EXPECT_TRUE(std::is_sorted(c.versions.begin(), c.versions.end()));
    mixed += c.versions.front() != c.versions.back() ? 1 : 0;
    for (size_t t = 0; t < c.tokens.size(); ++t)
      EXPECT_EQ(c.logprobs[t], by_version[static_cast<size_t>(c.versions[t])][i][t]) << i << ", token " << t;
  }
  EXPECT_GT(mixed, 2u);
}

TEST(Engine, WhatIsCancelledMakesRoomAndChangesNothingElse) {
  trainer::Transformer model(tiny_spec(), torch::kCPU, 28);
  const auto requests = requests_of({3, 19, 7, 40}, 3);
  Engine whole(model, {4}), engine(model, {4});
  const std::vector<Completion> expected = generate(whole, requests, sampling());
  for (const GenerationRequest& request : with(requests, sampling())) engine.submit(request);
  EXPECT_EQ(engine.oldest_version(0), std::nullopt);
  std::map<int64_t, Completion> completions;
  const std::vector<int64_t> cancelled = {1, 2, 11};  // two in progress, one that waits
  for (int64_t steps = 0; !engine.idle(); ++steps) {
    for (Engine::Finished& each : engine.step()) completions[each.ticket] = std::move(each.completion);
    if (steps > 0) continue;
    EXPECT_EQ(engine.oldest_version(0), 0);
    EXPECT_THROW(generate(engine, requests, sampling()), std::logic_error);
    for (const int64_t ticket : cancelled) engine.cancel(ticket);
  }
  EXPECT_EQ(completions.size(), requests.size() - cancelled.size());
  for (const auto& [ticket, completion] : completions)
    expect_equal({completion}, {expected[static_cast<size_t>(ticket)]});
  expect_equal(generate(engine, requests, sampling()), expected);  // no slot is lost
}

TEST(Decoder, KernelsAgreeWithLibTorch) {
  for (const TinyShape& shape :
       {TinyShape{}, TinyShape{.qk_norm = true, .qkv_bias = true, .tied = false, .kv_heads = 4},
        TinyShape{.kv_cache_dtype = "bf16"}}) {
    trainer::Transformer model(tiny_spec(shape), torch::kCPU, 26);
    // A key that is nearly between two bf16 numbers may become the one or the other.
    const double tolerance = model.spec().bf16_kv ? 0.02 : 1e-4;
    auto kernels = make_kernel_decoder(model, 6), aten = make_aten_decoder(model, 6);
    const PageTable first = {4, 1}, second = {0}, copied = {2};
    DecodeRows prompt;
    for (int64_t i = 0; i < kPageTokens + 3; ++i) prompt.add(first, i % 16, i);  // into its second page
    prompt.want_last();
    for (int64_t i = 0; i < 2; ++i) prompt.add(second, 4 + i, i);
    prompt.want_last();
    EXPECT_LT((kernels->forward(prompt) - aten->forward(prompt)).abs().max().item<double>(), tolerance);
    kernels->copy_page(0, 2);
    aten->copy_page(0, 2);
    DecodeRows next;
    next.add(copied, 7, 2);
    next.add(second, 8, 2);
    next.add(first, 9, kPageTokens + 3);
    next.wanted = {0, 1, 2};
    const torch::Tensor ours = kernels->forward(next);
    EXPECT_LT((ours - aten->forward(next)).abs().max().item<double>(), tolerance);
    EXPECT_GT((ours[0] - ours[1]).abs().max().item<double>(), tolerance);
  }
}

TEST(Engine, LooksForSignalsWhileItGenerates) {
  trainer::Transformer model(tiny_spec(TinyShape{}), torch::kCPU, 21);
  trainer::Interrupts interrupts;
  const std::unique_ptr<trainer::World> world = trainer::World::start({});
  trainer::SignalPoll signals(&interrupts, *world, torch::kCPU);
  const auto requests = requests_of({3, 7, 12}, 2);
  Engine alone(model, {4}), watched(model, {4, &signals});
  expect_equal(generate(watched, requests, sampling()), generate(alone, requests, sampling()));
  interrupts.request(trainer::Interrupt::kSaveAndContinue);
  EXPECT_NO_THROW(generate(watched, requests, sampling()));
  interrupts.request(trainer::Interrupt::kSaveAndStop);
  EXPECT_THROW(generate(watched, requests, sampling()), trainer::StopRequested);
}

}  // namespace
}  // namespace terse::rl
