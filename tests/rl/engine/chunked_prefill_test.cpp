// Tests that prompts may run in parts, beside sequences that are already sampled, with the same bits.
#include <gtest/gtest.h>

#include "rl/engine/engine.h"
#include "tests/rl/engine/same_completions.h"
#include "tests/support/tiny_model.h"

namespace terse::rl {
namespace {

class ChunkedPrefill : public ::testing::Test {
 protected:
  static std::vector<GenerationRequest> requests() {
    std::vector<GenerationRequest> all;
    for (const auto& prompt : support::random_sequences({3, 50, 32, 1, 64, 33, 33}, 5)) {
      GenerationRequest request{.prompt = prompt.tokens, .key = std::ssize(all)};
      request.sampling = {.transform = {}, .max_new_tokens = 45, .stop_token_ids = {5}, .n = 3, .seed = 9};
      all.push_back(request);
    }
    return all;
  }
  static EngineOptions chunks_of(int64_t tokens) { return {.max_batch = 16, .chunked_prefill_size = tokens}; }

  trainer::Transformer model{support::tiny_spec({.qk_norm = true}), torch::kCPU, 41};
};

TEST_F(ChunkedPrefill, ChangesNoBit) {
  Engine whole(model, chunks_of(4096));
  const auto expected = whole.generate(requests());
  for (const int64_t tokens : {1, 2, 7, 32, 100}) {
    SCOPED_TRACE(tokens);
    Engine engine(model, chunks_of(tokens));
    expect_equal(engine.generate(requests()), expected);
    expect_equal(engine.generate(requests()), expected);
    if (tokens < 50) {
      EXPECT_GT(engine.use().passes, 2 * whole.use().passes);
    }
    int64_t preempted = 0;
    for (const int64_t pages : {4, 6, 7, 9}) {
      EngineOptions tight = chunks_of(tokens);
      tight.kv_cache_bytes = pages * page_bytes(model.spec(), false);
      Engine small(model, tight);
      expect_equal(small.generate(requests()), expected);
      preempted += small.use().preempted;
    }
    EXPECT_GT(preempted, 0);
  }
}

TEST_F(ChunkedPrefill, LetsOthersGoOn) {
  EngineOptions options = chunks_of(4);
  options.speculative_tokens = 0;
  Engine engine(model, options);
  std::vector<GenerationRequest> all = requests();
  all[0].sampling.n = all[4].sampling.n = 1;
  all[0].sampling.stop_token_ids = {};
  int64_t first = 0, second = 0;
  all[0].on_token = [&](const NewToken&) { ++first; };
  all[4].on_token = [&](const NewToken&) { ++second; };
  engine.submit(all[0]);
  engine.step();
  engine.submit(all[4]);  // 64 tokens: 16 steps
  for (int i = 0; i < 15; ++i) engine.step();
  EXPECT_EQ(first, 16);
  EXPECT_EQ(second, 0);
  engine.step();
  EXPECT_EQ(second, 1);
}

// The second request waits for the prompt of the first one, which is the same, and the first one is cancelled.
TEST_F(ChunkedPrefill, OutlivesTheRequestThatRanItsPrompt) {
  GenerationRequest request = requests()[4];
  for (const size_t length : {20, 40, 64}) {
    request.prompt.resize(length);
    Engine alone(model, chunks_of(4096));
    const auto expected = alone.generate({request});
    Engine engine(model, chunks_of(6));
    const int64_t first = engine.submit(request), second = engine.submit(request);
    for (int i = 0; i < 3; ++i) engine.step();
    engine.cancel(first);
    std::vector<Completion> samples(3);
    while (!engine.idle())
      for (Engine::Finished& each : engine.step()) {
        EXPECT_EQ(each.ticket, second);
        samples[static_cast<size_t>(each.sample)] = std::move(each.completion);
      }
    expect_equal({samples}, expected);
  }
}

// New weights come while a prompt has run in part.
TEST_F(ChunkedPrefill, TakesNewWeights) {
  const GenerationRequest request = requests()[4];
  Engine engine(model, chunks_of(6));
  engine.submit(request);
  for (int i = 0; i < 3; ++i) engine.step();
  torch::NoGradGuard no_grad;
  model.params().master().mul_(1.25);
  model.params().publish();
  engine.refresh(1);
  std::vector<Completion> samples(3);
  while (!engine.idle())
    for (Engine::Finished& each : engine.step()) samples[static_cast<size_t>(each.sample)] = std::move(each.completion);
  Engine anew(model, chunks_of(4096));
  expect_equal({samples}, anew.generate({request}));
}

}  // namespace
}  // namespace terse::rl
