// Tests guesses of tokens: which ones are made, and that a response is the same with them as without.
#include <gtest/gtest.h>

#include "rl/engine/engine.h"
#include "rl/engine/ngram_draft.h"
#include "tests/rl/engine/same_completions.h"
#include "tests/support/tiny_model.h"

namespace terse::rl {
namespace {

using Tokens = std::vector<int32_t>;

TEST(NgramDraft, IsWhatFollowedTheLatestTokensBefore) {
  const Tokens own = {1, 2, 3, 4, 5, 1, 2, 3};
  EXPECT_EQ(ngram_draft({&own}, 2), (Tokens{4, 5}));
  EXPECT_EQ(ngram_draft({&own}, 9), (Tokens{4, 5, 1, 2, 3})) << "no more than there is";
  EXPECT_EQ(ngram_draft({&own}, 0), Tokens{});
}

TEST(NgramDraft, PrefersLongRunsThenTheTextItselfThenTheLastOccurrence) {
  const Tokens twice = {2, 3, 7, 2, 3, 8, 2, 3}, none = {1, 2, 3}, one_token = {3, 1, 3}, empty = {};
  EXPECT_EQ(ngram_draft({&twice}, 1), Tokens{8});
  const Tokens other = {9, 2, 3, 6}, longer = {8, 2, 3, 5};
  EXPECT_EQ(ngram_draft({&twice, &other}, 1), Tokens{8});
  EXPECT_EQ(ngram_draft({&twice, &longer}, 1), Tokens{5});
  EXPECT_EQ(ngram_draft({&none, &empty, &other}, 1), Tokens{6});
  EXPECT_EQ(ngram_draft({&none, &none}, 1), Tokens{}) << "nothing follows";
  EXPECT_EQ(ngram_draft({&one_token}, 1), Tokens{}) << "a single token is too little";
  EXPECT_EQ(ngram_draft({&empty}, 1), Tokens{});
}

class Speculative : public ::testing::TestWithParam<const char*> {
 protected:
  // Samples of random responses and of greedy ones, which soon repeat themselves.
  std::vector<GenerationRequest> requests() const {
    std::vector<GenerationRequest> all;
    for (const auto& prompt : support::random_sequences({3, 31, 20, 8}, 5)) {
      GenerationRequest request{.prompt = prompt.tokens, .key = std::ssize(all)};
      request.sampling = {.transform = {}, .max_new_tokens = 60, .stop_token_ids = {5}, .n = 2, .seed = 9};
      request.sampling.transform.temperature = all.size() % 2 == 0 ? 0 : 1;
      all.push_back(request);
    }
    return all;
  }
};

TEST_P(Speculative, GuessesChangeNoBit) {
  trainer::Transformer model(support::tiny_spec({.precision = GetParam()}), torch::kCPU, 31);
  Engine plain(model, {.max_batch = 8, .speculative_tokens = 0});
  const auto expected = plain.generate(requests());
  EXPECT_EQ(plain.use().drafted, 0);
  for (const int64_t most : {1, 3, 7}) {
    SCOPED_TRACE(most);
    Engine engine(model, {.max_batch = 8, .speculative_tokens = most});
    expect_equal(engine.generate(requests()), expected);
    const Engine::Use use = engine.use();
    EXPECT_GT(use.accepted, 0);
    EXPECT_GT(use.drafted, use.accepted) << "some guesses were wrong";
    EXPECT_LT(use.passes, plain.use().passes);
    expect_equal(engine.generate(requests()), expected);  // the cache holds no wrong guesses
  }
}

TEST_P(Speculative, GuessesYieldToTheMemoryForTokens) {
  trainer::Transformer model(support::tiny_spec({.precision = GetParam()}), torch::kCPU, 31);
  Engine plain(model, {.max_batch = 2, .speculative_tokens = 0});
  const auto expected = plain.generate(requests());
  Engine tight(model, {.max_batch = 2, .kv_cache_bytes = 4 * page_bytes(model.spec(), false)});
  expect_equal(tight.generate(requests()), expected);
  EXPECT_GT(tight.use().accepted, 0);
  EXPECT_LE(tight.use().most_bytes, 4 * page_bytes(model.spec(), false));
}

INSTANTIATE_TEST_SUITE_P(Precision, Speculative, ::testing::Values("fp32", "bf16"));

}  // namespace
}  // namespace terse::rl
