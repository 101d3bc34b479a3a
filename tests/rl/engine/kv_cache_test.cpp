// Tests the paged cache: how pages are counted, that a cache of any size gives the same tokens and log-probs, that
// samples share the pages of their prompt, and what a request that cannot fit is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "rl/engine/engine.h"
#include "tests/rl/engine/same_completions.h"
#include "tests/support/tiny_model.h"

namespace terse::rl {
namespace {

using terse::support::tiny_spec;

TEST(KvPages, AreTakenSharedAndGivenBack) {
  KvPages pages(4);
  PageTable first, second;
  ASSERT_TRUE(pages.grow(first, kPageTokens + 1));
  EXPECT_EQ(first.size(), 2u);
  EXPECT_TRUE(pages.grow(first, 2 * kPageTokens)) << "fits the pages that it has";
  EXPECT_EQ(pages.free(), 2);
  PageTable shared = pages.share(first, 1);
  EXPECT_EQ(shared, PageTable{first[0]});
  EXPECT_EQ(pages.free(), 2) << "sharing takes no page";
  EXPECT_FALSE(pages.grow(second, 3 * kPageTokens));
  EXPECT_TRUE(second.empty()) << "a failed attempt takes nothing";
  EXPECT_TRUE(pages.grow(second, 2 * kPageTokens));
  EXPECT_EQ(pages.free(), 0);
  pages.release(first);
  EXPECT_EQ(pages.free(), 1) << "the shared page has a reader";
  pages.release(shared);
  pages.release(second);
  EXPECT_EQ(pages.free(), 4);
  EXPECT_EQ(pages.most_used(), 4);
}

TEST(KvPages, ThatAreFilledAreFoundUntilTheirPlaceIsNeeded) {
  KvPages pages(4);
  const auto tokens = [](std::initializer_list<int32_t> of_pages) {
    std::vector<int32_t> all;
    for (const int32_t token : of_pages) all.insert(all.end(), static_cast<size_t>(kPageTokens), token);
    return all;
  };
  PageTable first, other;
  ASSERT_TRUE(pages.grow(first, 3 * kPageTokens));
  pages.fill(first, tokens({1, 2, 3}), 3 * kPageTokens - 1);  // the last page lacks a token
  const PageTable two(first.begin(), first.begin() + 2);
  PageTable found = pages.find(tokens({1, 2, 3}), 3);
  EXPECT_EQ(found, two) << "while another sequence reads them";
  pages.release(found);
  pages.release(first);
  EXPECT_EQ(pages.free(), 4);
  EXPECT_EQ(pages.find(tokens({2, 2}), 2), PageTable{}) << "another beginning";
  found = pages.find(tokens({1, 2, 4}), 3);
  EXPECT_EQ(found, two) << "when nobody reads them";
  EXPECT_EQ(pages.free(), 2);
  pages.release(found);
  found = pages.find(tokens({1, 2}), 1);
  EXPECT_EQ(found, PageTable{two[0]}) << "no more than the caller wants";
  pages.release(found);
  // Three pages are needed, so the second of the two is forgotten, and the first is still known.
  ASSERT_TRUE(pages.grow(other, 3 * kPageTokens));
  found = pages.find(tokens({1, 2}), 2);
  EXPECT_EQ(found, PageTable{two[0]});
  pages.release(found);
  pages.release(other);
  pages.forget_unread();
  EXPECT_EQ(pages.find(tokens({1}), 1), PageTable{});
  EXPECT_EQ(pages.free(), 4);
}

class KvCache : public ::testing::Test {
 protected:
  // Prompts and lengths such that sequences need from one to four pages. Greedy ends come from stop tokens.
  std::vector<GenerationRequest> requests() const {
    std::vector<GenerationRequest> all;
    int32_t next = 0;
    for (const int64_t length : {3, 31, 32, 33, 60, 1, 17}) {
      GenerationRequest request;
      for (int64_t i = 0; i < length; ++i) request.prompt.push_back(next++ % 16);
      request.sampling.max_new_tokens = 40 + length % 7;
      request.sampling.stop_token_ids = {5};
      request.sampling.n = 3;
      request.sampling.seed = 11;
      request.key = length;
      all.push_back(request);
    }
    return all;
  }
  EngineOptions with(int64_t max_batch, int64_t pages) const {
    return {.max_batch = max_batch, .kv_cache_bytes = pages * page_bytes(model.spec(), false)};
  }

  trainer::Transformer model{tiny_spec({.qk_norm = true}), torch::kCPU, 41};
};

TEST_F(KvCache, OfAnySizeGivesTheSameBits) {
  Engine roomy(model, {.max_batch = 32});
  const auto expected = roomy.generate(requests());
  EXPECT_EQ(roomy.use().preempted, 0);
  int64_t longest = 0;
  for (const GenerationRequest& request : requests())
    longest = std::max(longest, std::ssize(request.prompt) + request.sampling.max_new_tokens);
  for (const int64_t pages : {pages_for(longest), pages_for(longest) + 1, int64_t{9}, int64_t{20}}) {
    SCOPED_TRACE(pages);
    Engine tight(model, with(32, pages));
    expect_equal(tight.generate(requests()), expected);
    const Engine::Use use = tight.use();
    EXPECT_EQ(use.bytes, pages * page_bytes(model.spec(), false));
    EXPECT_LE(use.most_bytes, use.bytes);
    EXPECT_EQ(use.preempted > 0, pages < 20)
        << "20 pages are too few for all at once, but those that wait need not stop";
    expect_equal(tight.generate(requests()), expected);  // every page has been given back
  }
}

TEST_F(KvCache, SamplesShareThePagesOfTheirPrompt) {
  GenerationRequest request;
  request.prompt.assign(static_cast<size_t>(2 * kPageTokens + 5), 3);
  request.sampling.max_new_tokens = 4;
  request.sampling.n = 8;
  Engine engine(model, {.max_batch = 8});
  engine.generate({request});
  // Two pages of the prompt for all, and one for the end of the prompt and the response of each sample.
  EXPECT_EQ(engine.use().most_bytes, (2 + 8) * page_bytes(model.spec(), false));
  // With a length of whole pages, nothing is copied.
  request.prompt.resize(static_cast<size_t>(2 * kPageTokens));
  Engine whole(model, {.max_batch = 8});
  const auto samples = whole.generate({request}).front();
  EXPECT_EQ(whole.use().most_bytes, (2 + 8) * page_bytes(model.spec(), false));
  for (int64_t sample = 0; sample < 8; ++sample) {
    GenerationRequest single = request;
    single.sampling.n = 1;
    single.first_sample = sample;
    Engine alone(model, {.max_batch = 1});
    expect_equal({{samples[static_cast<size_t>(sample)]}}, alone.generate({single}));
  }
}

// New weights arrive while sequences share pages and others wait.
TEST_F(KvCache, NewWeightsReachSharedPages) {
  const auto run = [&](const EngineOptions& options) {
    trainer::Transformer own(tiny_spec({.qk_norm = true}), torch::kCPU, 41);
    Engine engine(own, options);
    GenerationRequest request;
    request.prompt.assign(static_cast<size_t>(kPageTokens + 5), 3);
    request.sampling.max_new_tokens = 30;
    request.sampling.n = 4;
    engine.submit(request);
    std::vector<Completion> samples(4);
    for (int64_t version = 0; !engine.idle(); ++version) {
      for (Engine::Finished& each : engine.step())
        samples[static_cast<size_t>(each.sample)] = std::move(each.completion);
      if (version != 10) continue;
      torch::NoGradGuard no_grad;
      own.params().master().mul_(0.9);
      own.params().publish();
      engine.refresh(1);
    }
    return samples;
  };
  // One engine shares the prompt. In the other, only one sequence fits at a time before the weights change, so compare
  // the first sample, which both begin at once.
  const auto shared = run({.max_batch = 4});
  const auto single = run({.max_batch = 1});
  expect_equal({{shared[0]}}, {{single[0]}});
  EXPECT_EQ(shared[0].versions.back(), 1);
}

TEST_F(KvCache, WhatEarlierSequencesLeftIsFoundWithTheSameBits) {
  const auto generate = [&](Engine& engine, size_t prompt, int32_t last, int64_t key) {
    GenerationRequest request;
    request.prompt.assign(prompt, 3);
    request.prompt.push_back(last);
    request.sampling.max_new_tokens = 12;
    request.key = key;
    return engine.generate({request});
  };
  const size_t longest = static_cast<size_t>(2 * kPageTokens + 9);
  Engine warm(model, {.max_batch = 2});
  generate(warm, longest, 7, 1);
  EXPECT_EQ(warm.use().found, 0);
  int64_t found = 0;
  for (const size_t prompt : {longest, longest - 9, longest - 10, longest - 20, size_t{4}}) {
    SCOPED_TRACE(prompt);
    Engine cold(model, {.max_batch = 2});
    expect_equal(generate(warm, prompt, 8, 2), generate(cold, prompt, 8, 2));
    found += static_cast<int64_t>(prompt) / kPageTokens * kPageTokens;  // the last token is another one
    EXPECT_EQ(warm.use().found, found);
  }
  // New weights make it worthless.
  {
    torch::NoGradGuard no_grad;
    model.params().master().mul_(0.9);
    model.params().publish();
  }
  warm.refresh(1);
  Engine cold(model, {.max_batch = 2});
  expect_equal(generate(warm, longest, 8, 3), generate(cold, longest, 8, 3));
  EXPECT_EQ(warm.use().found, found);
}

TEST_F(KvCache, KeptResponsesGiveWayAndAreExtendedWithTheSameBits) {
  const auto run = [&](int64_t pages) {
    Engine engine(model, with(4, pages));
    GenerationRequest kept;
    kept.prompt.assign(static_cast<size_t>(kPageTokens), 2);
    kept.sampling.max_new_tokens = 8;
    kept.keep = true;
    engine.generate({kept});
    GenerationRequest other = kept;
    other.prompt.assign(static_cast<size_t>(2 * kPageTokens), 4);
    other.keep = false;
    engine.generate({other});
    engine.extend(0, 0, {1, 2, 3});
    std::vector<Completion> extended;
    while (!engine.idle())
      for (Engine::Finished& each : engine.step()) extended.push_back(std::move(each.completion));
    return std::pair(extended, engine.use().preempted);
  };
  const auto [roomy, none] = run(12);
  const auto [tight, some] = run(3);
  EXPECT_EQ(none, 0);
  EXPECT_EQ(some, 1);
  ASSERT_EQ(roomy.size(), 1u);
  EXPECT_EQ(roomy[0].tokens.size(), 8u + 3 + 8);
  expect_equal({roomy}, {tight});
}

TEST_F(KvCache, ASequenceThatCannotFitIsRefusedBeforeAnythingRuns) {
  Engine engine(model, with(4, 2));
  GenerationRequest request;
  request.prompt.assign(40, 1);
  request.sampling.max_new_tokens = 25;
  EXPECT_THAT([&] { engine.generate({request}); },
              ::testing::ThrowsMessage<std::invalid_argument>(::testing::AllOf(
                  ::testing::HasSubstr("a sequence of 65 tokens"), ::testing::HasSubstr("engine.kv_cache_gib"))));
  request.sampling.max_new_tokens = 24;
  EXPECT_EQ(engine.generate({request}).size(), 1u);
}

TEST(CachePages, DefaultIsEnoughForAllWithinAShareOfTheMemory) {
  const trainer::ModelSpec spec = tiny_spec();
  const EngineOptions few{.max_batch = 3}, many{.max_batch = int64_t{1} << 40};
  EXPECT_EQ(cache_pages(spec, false, few), 3 * pages_for(spec.max_seq_len));
  EXPECT_LT(cache_pages(spec, false, many) * page_bytes(spec, false), int64_t{1} << 42);
  EXPECT_EQ(cache_pages(spec, true, {.max_batch = 5}), 5 * pages_for(spec.max_seq_len));
  EXPECT_EQ(cache_pages(spec, false, {.max_batch = 3, .kv_cache_bytes = 1}), 1);
}

}  // namespace
}  // namespace terse::rl
