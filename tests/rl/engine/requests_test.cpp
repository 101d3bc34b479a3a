// Tests what each request asks of the engine for itself: its sampling parameters, number of samples, stop strings,
// callback, and whether it is kept and extended. What a request gets never depends on what else is in the batch.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "data/tokenizers/symbol_tokenizer.h"
#include "rl/engine/engine.h"
#include "tests/support/tiny_model.h"

namespace terse::rl {
namespace {

using terse::support::tiny_spec;

SamplingParams params(double temperature, uint64_t seed, int64_t tokens = 24) {
  SamplingParams params;
  params.transform.temperature = temperature;
  params.max_new_tokens = tokens;
  params.seed = seed;
  return params;
}

GenerationRequest request(std::vector<int32_t> prompt, SamplingParams sampling) {
  return {.prompt = std::move(prompt), .sampling = std::move(sampling)};
}

void expect_equal(const Completion& a, const Completion& b) {
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.logprobs, b.logprobs);
  EXPECT_EQ(a.entropies, b.entropies);
  EXPECT_EQ(a.finish, b.finish);
  EXPECT_EQ(a.stop, b.stop);
}

void expect_refusal(const std::function<void()>& call, const std::string& message) {
  EXPECT_THAT(call, ::testing::ThrowsMessage<std::invalid_argument>(::testing::HasSubstr(message)));
}

std::vector<int32_t> concat(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Requests : public ::testing::Test {
 protected:
  // Steps until nothing is in progress. Returns what has finished, in that order.
  std::vector<Engine::Finished> run() {
    std::vector<Engine::Finished> all;
    while (!engine.idle()) {
      for (Engine::Finished& each : engine.step()) all.push_back(std::move(each));
    }
    return all;
  }
  Completion alone(const GenerationRequest& wanted) {
    Engine fresh(model, {.max_batch = 4, .tokenizer = &letters});
    return fresh.generate({wanted}).at(0).at(0);
  }
  std::string text(const Completion& completion) const { return letters.decode(completion.tokens); }

  trainer::Transformer model{tiny_spec(), torch::kCPU, 31};
  data::SymbolTokenizer letters{"letters",
                                {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"}};
  Engine engine{model, {.max_batch = 4, .tokenizer = &letters}};
};

TEST_F(Requests, WithDifferentParametersInOneBatchGetWhatTheyGetAlone) {
  const std::vector<int32_t> prompt = {1, 2, 3};
  std::vector<GenerationRequest> mixed = {
      request(prompt, params(1, 7)),  request(prompt, params(0, 7)),  request(prompt, params(1.3, 7)),
      request(prompt, params(1, 8)),  request({4}, params(1, 7, 40)), request(prompt, params(1, 7)),
      request(prompt, params(20, 7)),
  };
  mixed[2].sampling.transform.top_k = 2;
  mixed[3].sampling.transform.top_p = 0.5;
  mixed[5].sampling.stop_token_ids = {5, 6};
  mixed[6].sampling.transform.min_p = 0.9;
  const auto together = engine.generate(mixed);
  for (size_t i = 0; i < mixed.size(); ++i) {
    SCOPED_TRACE(i);
    expect_equal(together.at(i).at(0), alone(mixed[i]));
  }
  const auto tokens = [&](size_t i) { return together.at(i).at(0).tokens; };
  EXPECT_NE(tokens(0), tokens(1)) << "temperature";
  EXPECT_NE(tokens(0), tokens(2)) << "top-k";
  EXPECT_NE(tokens(0), tokens(3)) << "seed and top-p";
  EXPECT_EQ(tokens(4).size(), 40u) << "the longest response";
  EXPECT_THAT(together.at(1).at(0).logprobs, ::testing::Each(0.0f)) << "greedy";
}

TEST_F(Requests, SamplesOfOneRequestAreThoseOfSeveral) {
  GenerationRequest wanted = request({3, 1, 4}, params(1, 2));
  wanted.sampling.n = 6;  // more than fit into a batch
  const std::vector<Completion> samples = engine.generate({wanted}).at(0);
  ASSERT_EQ(samples.size(), 6u);
  for (int64_t sample = 0; sample < 6; ++sample) {
    GenerationRequest single = request({3, 1, 4}, params(1, 2));
    single.first_sample = sample;
    expect_equal(samples[static_cast<size_t>(sample)], alone(single));
  }
  EXPECT_NE(samples[0].tokens, samples[1].tokens);
}

TEST_F(Requests, AnyOfSeveralStopTokensEndsAResponse) {
  const std::vector<int32_t> free = alone(request({2}, params(1, 5, 60))).tokens;
  GenerationRequest wanted = request({2}, params(1, 5, 60));
  wanted.sampling.stop_token_ids = {free.at(9), free.at(20)};
  const auto first = std::find_if(free.begin(), free.end(), [&](int32_t t) { return t == free[9] || t == free[20]; });
  const Completion stopped = alone(wanted);
  EXPECT_EQ(stopped.tokens, std::vector<int32_t>(free.begin(), first + 1));
  EXPECT_EQ(stopped.finish, FinishReason::kStop);
  EXPECT_EQ(stopped.stop, "");
}

TEST_F(Requests, AStopStringThatSpansTokensEndsAResponse) {
  const Completion free = alone(request({2}, params(1, 6, 80)));
  const std::string all = text(free);
  for (const size_t begin : {10u, 25u, 40u}) {
    const std::string stop = all.substr(begin, 3);  // each letter is a token of its own
    GenerationRequest wanted = request({2}, params(1, 6, 80));
    wanted.sampling.stop = {"not in it", stop};
    const Completion stopped = alone(wanted);
    EXPECT_EQ(text(stopped), all.substr(0, all.find(stop) + 3)) << stop;
    EXPECT_EQ(stopped.stop, stop);
    EXPECT_EQ(stopped.finish, FinishReason::kStop);
  }
  GenerationRequest wanted = request({2}, params(1, 6, 80));
  wanted.sampling.stop = {"not in it"};
  expect_equal(alone(wanted), free);
}

TEST(StopStrings, AreFoundWhereverTokensDivideThem) {
  const data::SymbolTokenizer tokenizer("words", {"a", "bc", "d", "ef"});
  // The tokenizer writes a space between symbols of several letters: "a bc d ef".
  const auto found_after = [&](const std::vector<std::string>& stop) {
    StopStrings strings;
    std::vector<int32_t> tokens;
    for (const int32_t token : {0, 1, 2, 3}) {
      const std::string found = strings.add(tokenizer, stop, tokens, token);
      tokens.push_back(token);
      if (!found.empty()) return fmt::format("{} after {}", found, tokens.size());
    }
    return std::string("none");
  };
  EXPECT_EQ(tokenizer.decode({0, 1, 2, 3}), "a bc d ef");
  EXPECT_EQ(found_after({"c"}), "c after 2");
  EXPECT_EQ(found_after({"bc d"}), "bc d after 3");
  EXPECT_EQ(found_after({"a bc d ef"}), "a bc d ef after 4");
  EXPECT_EQ(found_after({"d e", "c d"}), "c d after 3");
  EXPECT_EQ(found_after({"e", "d e", "f"}), "d e after 4") << "the one that begins first";
  EXPECT_EQ(found_after({"efg", "abc"}), "none");
  StopStrings strings;
  EXPECT_EQ(strings.add(tokenizer, {"a bc"}, {}, 0), "");
  strings.reset();
  EXPECT_EQ(strings.add(tokenizer, {"a bc"}, {0}, 1), "") << "text before reset() does not count";
}

TEST_F(Requests, EachNewTokenIsReported) {
  std::vector<NewToken> seen;
  GenerationRequest wanted = request({2, 2}, params(1, 9));
  wanted.sampling.n = 3;
  wanted.on_token = [&](const NewToken& token) { seen.push_back(token); };
  const int64_t quiet = engine.submit(request({1}, params(1, 9)));
  const int64_t ticket = engine.submit(wanted);
  for (const Engine::Finished& finished : run()) {
    if (finished.ticket == quiet) continue;
    EXPECT_EQ(finished.ticket, ticket);
    std::vector<int32_t> tokens;
    std::vector<float> logprobs;
    for (const NewToken& token : seen) {
      EXPECT_EQ(token.ticket, ticket);
      if (token.sample != finished.sample) continue;
      tokens.push_back(token.token);
      logprobs.push_back(token.logprob);
    }
    EXPECT_EQ(tokens, finished.completion.tokens);
    EXPECT_EQ(logprobs, finished.completion.logprobs);
  }
  EXPECT_EQ(seen.size(), 3u * 24u);
}

// A response that was extended goes on as a request whose prompt holds all its tokens.
class Extension : public Requests {
 protected:
  void expect_like_a_prompt(const Completion& whole, const std::vector<int32_t>& prompt, size_t before,
                            const std::vector<int32_t>& added, const SamplingParams& sampling) {
    const std::vector<int32_t> head(whole.tokens.begin(), whole.tokens.begin() + static_cast<std::ptrdiff_t>(before));
    GenerationRequest again = request(concat(concat(prompt, head), added), sampling);
    again.first_place = static_cast<int64_t>(before + added.size());
    const Completion fresh = alone(again);
    EXPECT_EQ(whole.tokens, concat(concat(head, added), fresh.tokens));
    std::vector<uint8_t> sampled(before, 1);
    sampled.resize(before + added.size(), 0);
    sampled.resize(whole.tokens.size(), 1);
    EXPECT_EQ(whole.sampled, sampled);
    for (size_t i = before; i < whole.tokens.size(); ++i) {
      const bool is_added = i < before + added.size();
      EXPECT_EQ(whole.logprobs[i], is_added ? 0 : fresh.logprobs[i - before - added.size()]) << i;
    }
    EXPECT_EQ(whole.entropies.size(), whole.tokens.size());
    EXPECT_EQ(whole.versions.size(), whole.tokens.size());
  }
};

TEST_F(Extension, OfAKeptResponseContinuesLikeAPrompt) {
  for (const double temperature : {0.0, 1.0}) {
    GenerationRequest wanted = request({5, 6, 7}, params(temperature, 4, 12));
    wanted.keep = true;
    const int64_t ticket = engine.submit(wanted);
    engine.submit(request({8, 9}, params(1, 11, 60)));  // runs on meanwhile
    const std::vector<int32_t> added = {10, 11, 12, 13};
    std::vector<Completion> turns;
    while (!engine.idle()) {
      for (Engine::Finished& each : engine.step()) {
        if (each.ticket != ticket) continue;
        turns.push_back(each.completion);
        if (turns.size() == 1) engine.extend(ticket, 0, added);
      }
    }
    ASSERT_EQ(turns.size(), 2u);
    EXPECT_EQ(turns[0].tokens.size(), 12u);
    EXPECT_EQ(turns[1].tokens.size(), 12u + 4u + 12u);
    expect_like_a_prompt(turns[1], {5, 6, 7}, 12, added, params(temperature, 4, 12));
    engine.cancel(ticket);
  }
}

TEST_F(Extension, OfARunningResponseContinuesLikeAPrompt) {
  const int64_t ticket = engine.submit(request({5, 6, 7}, params(1, 4, 20)));
  for (int i = 0; i < 5; ++i) engine.step();
  engine.extend(ticket, 0, {1, 2});
  const std::vector<Engine::Finished> finished = run();
  ASSERT_EQ(finished.size(), 1u);
  expect_like_a_prompt(finished[0].completion, {5, 6, 7}, 5, {1, 2}, params(1, 4, 20));
}

TEST_F(Extension, OutlivesNewWeights) {
  GenerationRequest wanted = request({5, 6, 7}, params(1, 4, 12));
  wanted.keep = true;
  const int64_t ticket = engine.submit(wanted);
  const Completion first = run().at(0).completion;
  {
    torch::NoGradGuard no_grad;
    model.params().master().mul_(0.9);
    model.params().publish();
  }
  engine.refresh(3);
  engine.extend(ticket, 0, {10, 11});
  const Completion whole = run().at(0).completion;
  expect_like_a_prompt(whole, {5, 6, 7}, 12, {10, 11}, params(1, 4, 12));
  EXPECT_EQ(std::vector<float>(whole.logprobs.begin(), whole.logprobs.begin() + 12), first.logprobs);
  EXPECT_EQ(whole.versions.front(), 0);
  EXPECT_EQ(whole.versions.back(), 3);
}

TEST_F(Extension, AStopStringMustLieInWhatFollows) {
  GenerationRequest wanted = request({5, 6, 7}, params(1, 4, 12));
  wanted.keep = true;
  wanted.sampling.stop = {"no"};
  const int64_t ticket = engine.submit(wanted);
  run();
  engine.extend(ticket, 0, {13});  // n
  const Completion whole = run().at(0).completion;
  EXPECT_EQ(whole.stop, "") << "a stop string does not reach back into what was appended";
}

TEST_F(Extension, IsRefusedWhereNothingCanBeExtended) {
  GenerationRequest wanted = request({5, 6, 7}, params(1, 4, 12));
  const int64_t gone = engine.submit(wanted);
  run();
  wanted.keep = true;
  const int64_t kept = engine.submit(wanted);
  run();
  expect_refusal([&] { engine.extend(gone, 0, {1}); }, "sample 0 of request 0 cannot be extended");
  expect_refusal([&] { engine.extend(kept, 1, {1}); }, "sample 1 of request 1 cannot be extended");
  expect_refusal([&] { engine.extend(kept, 0, {}); }, "at least one token");
  expect_refusal([&] { engine.extend(kept, 0, std::vector<int32_t>(134, 1)); },
                 "15 tokens so far, 134 to append and 12 new ones exceed model.max_seq_len = 160");
  EXPECT_NO_THROW(engine.extend(kept, 0, std::vector<int32_t>(133, 1)));
}

TEST_F(Requests, KeptResponsesHoldTheirPlaceUntilTheyAreCancelled) {
  GenerationRequest wanted = request({5, 6, 7}, params(1, 4, 12));
  wanted.keep = true;
  wanted.sampling.n = 4;  // the whole batch
  const int64_t kept = engine.submit(wanted);
  EXPECT_EQ(run().size(), 4u);
  EXPECT_TRUE(engine.idle());
  const GenerationRequest other = request({1}, params(1, 4, 12));
  engine.submit(other);
  for (int i = 0; i < 30; ++i) EXPECT_TRUE(engine.step().empty()) << "there is no place for another";
  engine.cancel(kept);
  const std::vector<Engine::Finished> finished = run();
  ASSERT_EQ(finished.size(), 1u);
  expect_equal(finished[0].completion, alone(other));
}

TEST_F(Requests, ParametersOutOfRangeAreRefusedByName) {
  const auto refused = [&](const std::function<void(GenerationRequest&)>& change, const std::string& message) {
    GenerationRequest wanted = request({1}, params(1, 1));
    change(wanted);
    expect_refusal([&] { engine.submit(wanted); }, message);
  };
  refused([](auto& r) { r.sampling.transform.temperature = -0.1; }, "temperature is -0.1; expected 0 or more");
  refused([](auto& r) { r.sampling.transform.temperature = std::nan(""); }, "temperature is nan");
  refused([](auto& r) { r.sampling.transform.top_k = -1; }, "top_k is -1");
  refused([](auto& r) { r.sampling.transform.top_p = 0; }, "top_p is 0; expected more than 0");
  refused([](auto& r) { r.sampling.transform.top_p = 1.1; }, "top_p is 1.1");
  refused([](auto& r) { r.sampling.transform.min_p = 1.5; }, "min_p is 1.5");
  refused([](auto& r) { r.sampling.max_new_tokens = 0; }, "max_new_tokens is 0");
  refused([](auto& r) { r.sampling.n = 0; }, "n is 0");
  refused([](auto& r) { r.first_sample = -1; }, "first_sample is -1");
  refused([](auto& r) { r.sampling.stop = {"a", ""}; }, "stop is \"\"");
  refused([](auto& r) { r.prompt.clear(); }, "at least one token");
  refused([](auto& r) { r.prompt.resize(137); },
          "a prompt of 137 tokens plus 24 new tokens exceeds model.max_seq_len = 160");
  EXPECT_TRUE(engine.idle());

  Engine mute(model, {.max_batch = 1});
  GenerationRequest wanted = request({1}, params(1, 1));
  wanted.sampling.stop = {"a"};
  expect_refusal([&] { mute.submit(wanted); }, "stop strings need an engine that has a");
}

}  // namespace
}  // namespace terse::rl
