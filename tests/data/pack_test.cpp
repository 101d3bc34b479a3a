// Tests that packing shifts targets by one, and that slices and concatenations are consistent.
#include "data/pack.h"

#include "tests/data/support.h"

namespace terse::data {
namespace {

template <typename T>
std::vector<T> values(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.contiguous();
  return {flat.data_ptr<T>(), flat.data_ptr<T>() + flat.numel()};
}

using Longs = std::vector<int64_t>;
using Ints = std::vector<int32_t>;
using Floats = std::vector<float>;

Batch example() {
  return pack({prompt_and_response(Ints{7, 8}, Ints{3, 4, 5}, 2), {{9}, {0}}, prompt_and_response(Ints{1}, Ints{2})});
}

TEST(Pack, ShiftsTargetsByOneInsideEachSegment) {
  const Batch batch = example();
  EXPECT_EQ(values<int64_t>(batch.tokens), (Longs{7, 8, 3, 4, 5, 9, 1, 2}));
  EXPECT_EQ(values<int64_t>(batch.positions), (Longs{0, 1, 2, 3, 4, 0, 0, 1}));
  EXPECT_EQ(values<int32_t>(batch.segments), (Ints{0, 5, 6, 8}));
  EXPECT_EQ(values<int64_t>(batch.targets), (Longs{0, 3, 4, 5, 0, 0, 2, 0}));
  EXPECT_EQ(values<float>(batch.weights), (Floats{0, 2, 2, 2, 0, 0, 1, 0}));
  EXPECT_EQ(batch.token_count(), 8);
  EXPECT_EQ(batch.segment_count(), 3);
  EXPECT_EQ(values<int32_t>(batch.sequences), values<int32_t>(batch.segments));
}

// Prompts of three, one and two tokens.
Batch shared_example() {
  static const Ints first = {7, 8, 9}, second = {5}, third = {1, 2}, a = {10, 11}, b = {20}, c = {30, 31, 32};
  return pack_shared({{first, {{a, {1, 1}}, {b, {1}}}}, {second, {{c, {1, 0, 2}}}}, {third, {{a, {0, 1}}, {b, {1}}}}});
}

TEST(PackShared, PutsResponsesBehindOneCopyOfTheirPrompt) {
  const Batch batch = shared_example();
  EXPECT_EQ(values<int64_t>(batch.tokens), (Longs{7, 8, 9, 10, 9, 5, 30, 31, 1, 2, 10, 2}));
  EXPECT_EQ(values<int64_t>(batch.positions), (Longs{0, 1, 2, 3, 2, 0, 1, 2, 0, 1, 2, 1}));
  EXPECT_EQ(values<int64_t>(batch.targets), (Longs{0, 0, 10, 11, 20, 30, 0, 32, 0, 0, 11, 20}));
  EXPECT_EQ(values<float>(batch.weights), (Floats{0, 0, 1, 1, 1, 1, 0, 2, 0, 0, 1, 1}));
  EXPECT_EQ(values<int32_t>(batch.segments), (Ints{0, 2, 4, 5, 8, 9, 11, 12}));
  EXPECT_EQ(values<int32_t>(batch.prefixes), (Ints{-1, 0, 0, -1, -1, 4, 4}));
  EXPECT_EQ(values<int32_t>(batch.sequences), (Ints{0, 5, 8, 12}));
}

TEST(PackShared, ASliceCountsItsOwnPrefixes) {
  const Batch batch = shared_example(), part = slice(batch, 1, 3);
  EXPECT_EQ(values<int64_t>(part.tokens), (Longs{5, 30, 31, 1, 2, 10, 2}));
  EXPECT_EQ(values<int32_t>(part.segments), (Ints{0, 3, 4, 6, 7}));
  EXPECT_EQ(values<int32_t>(part.prefixes), (Ints{-1, -1, 1, 1}));
  EXPECT_EQ(values<int32_t>(part.sequences), (Ints{0, 3, 7}));
  EXPECT_THROW(concatenate({batch, batch}), std::logic_error);
}

TEST(PackShared, NamesWhatDoesNotFit) {
  const Ints prompt = {1}, none, response = {2, 3}, negative = {2, -3};
  const auto expect = [](const std::vector<SharedPrompt>& prompts, const std::string& message) {
    EXPECT_THAT(message_of<std::invalid_argument>([&] { pack_shared(prompts); }), ::testing::HasSubstr(message));
  };
  expect({{none, {{response, {1, 1}}}}}, "prompt 0 has no tokens");
  expect({{prompt, {}}}, "prompt 0 has no responses");
  expect({{prompt, {{response, {1, 1}}}}, {prompt, {{none, {}}}}}, "prompt 1 has no tokens in response 0");
  expect({{prompt, {{response, {1}}}}}, "prompt 0 has 2 tokens but 1 weights in response 0");
  expect({{prompt, {{negative, {1, 1}}}}}, "prompt 0 has the negative token id -3 at position 1 of response 0");
}

TEST(Pack, EverySequenceCanBeReadBack) {
  std::mt19937_64 random(3);
  std::vector<Sequence> sequences(50);
  for (Sequence& sequence : sequences) {
    for (int64_t i = below(random, 9); i >= 0; --i) {
      sequence.tokens.push_back(static_cast<int32_t>(below(random, 100)));
      sequence.weights.push_back(sequence.weights.empty() ? 0 : static_cast<float>(below(random, 3)) / 2);
    }
  }
  const Batch batch = pack(sequences);
  for (size_t s = 0; s < sequences.size(); ++s) {
    const auto begin = batch.segments[static_cast<int64_t>(s)].item<int32_t>();
    const auto& [tokens, weights] = sequences[s];
    for (size_t i = 0; i + 1 < tokens.size(); ++i) {
      const auto at = begin + static_cast<int64_t>(i);
      EXPECT_EQ(batch.tokens[at].item<int64_t>(), tokens[i]);
      EXPECT_EQ(batch.weights[at].item<float>(), weights[i + 1]);
      EXPECT_EQ(batch.targets[at].item<int64_t>(), weights[i + 1] == 0 ? 0 : tokens[i + 1]);
    }
  }
}

TEST(Pack, RefusesSequencesThatDoNotFit) {
  const auto error = [](const Sequence& bad) {
    return message_of<std::invalid_argument>([&] { pack({{{1}, {0}}, bad}); });
  };
  EXPECT_EQ(error({{}, {}}), "sequence 1 has no tokens");
  EXPECT_EQ(error({{1, 2}, {0}}), "sequence 1 has 2 tokens but 1 weights");
  EXPECT_EQ(error({{1, 2}, {1, 1}}),
            "sequence 1 has weight 1 at its first token, expected 0 because no token precedes it");
  EXPECT_EQ(error({{1, -2}, {0, 1}}), "sequence 1 has the negative token id -2 at position 1");
  EXPECT_THROW(prompt_and_response({}, Ints{1}), std::invalid_argument);
}

TEST(Pack, NothingGivesAnEmptyBatch) {
  const Batch batch = pack({});
  EXPECT_EQ(batch.token_count(), 0);
  EXPECT_EQ(batch.segment_count(), 0);
  EXPECT_EQ(batch.sequence_count(), 0);
  EXPECT_EQ(slice(batch, 0, 0).token_count(), 0);
}

void expect_equal(const Batch& a, const Batch& b) {
  EXPECT_TRUE(torch::equal(a.tokens, b.tokens));
  EXPECT_TRUE(torch::equal(a.positions, b.positions));
  EXPECT_TRUE(torch::equal(a.segments, b.segments));
  EXPECT_TRUE(torch::equal(a.sequences, b.sequences));
  EXPECT_TRUE(torch::equal(a.targets, b.targets));
  EXPECT_TRUE(torch::equal(a.weights, b.weights));
}

TEST(Slice, GivesSegmentsThatStartAtZero) {
  for (int64_t begin = 0; begin <= 3; ++begin) {
    for (int64_t end = begin; end <= 3; ++end) {
      const Batch part = slice(example(), begin, end);
      EXPECT_EQ(part.segment_count(), end - begin);
      EXPECT_EQ(part.segments[0].item<int32_t>(), 0);
      EXPECT_EQ(part.segments[end - begin].item<int32_t>(), part.token_count());
    }
    expect_equal(concatenate({slice(example(), 0, begin), slice(example(), begin, 3)}), example());
  }
  EXPECT_THROW(slice(example(), 2, 1), std::invalid_argument);
  EXPECT_THROW(slice(example(), 0, 4), std::invalid_argument);
}

TEST(Slice, TakesSequencesWithAllTheirSegments) {
  Batch batch = example();
  batch.sequences = torch::tensor({0, 6, 8}, torch::kInt32);
  const Batch first = slice(batch, 0, 1), second = slice(batch, 1, 2);
  EXPECT_EQ(values<int32_t>(first.segments), (Ints{0, 5, 6}));
  EXPECT_EQ(values<int32_t>(first.sequences), (Ints{0, 6}));
  EXPECT_EQ(values<int32_t>(second.segments), (Ints{0, 2}));
  EXPECT_EQ(values<int64_t>(second.tokens), (Longs{1, 2}));
  EXPECT_EQ(values<int32_t>(slice(batch, 1, 1).segments), (Ints{0}));
  expect_equal(concatenate({first, second}), batch);
  EXPECT_THROW(slice(batch, 0, 3), std::invalid_argument);
}

TEST(Slice, SharesTheMemoryOfTheBatch) {
  const Batch batch = example();
  EXPECT_EQ(slice(batch, 1, 2).tokens.data_ptr(), batch.tokens.data_ptr<int64_t>() + 5);
  EXPECT_EQ(slice(batch, 2, 3).weights.data_ptr(), batch.weights.data_ptr<float>() + 6);
}

}  // namespace
}  // namespace terse::data
