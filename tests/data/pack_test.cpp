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
}

TEST(Pack, LaysValuesOutLikeTargets) {
  const torch::Tensor packed = pack_values({{-1, 10, 11, 12, 13}, {-1}, {-1, 20}, {}});
  EXPECT_EQ(values<float>(packed), (Floats{10, 11, 12, 13, 0, 0, 20, 0}));
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
  EXPECT_EQ(error({{1, 2}, {1, 1}}), "sequence 1 gives weight 1 to its first token, which nothing predicts");
  EXPECT_EQ(error({{1, -2}, {0, 1}}), "sequence 1 has the token id -2 at 1");
  EXPECT_THROW(prompt_and_response({}, Ints{1}), std::invalid_argument);
}

TEST(Pack, NothingGivesAnEmptyBatch) {
  const Batch batch = pack({});
  EXPECT_EQ(batch.token_count(), 0);
  EXPECT_EQ(batch.segment_count(), 0);
  EXPECT_TRUE(split(batch, 3).empty());
}

void expect_equal(const Batch& a, const Batch& b) {
  EXPECT_TRUE(torch::equal(a.tokens, b.tokens));
  EXPECT_TRUE(torch::equal(a.positions, b.positions));
  EXPECT_TRUE(torch::equal(a.segments, b.segments));
  EXPECT_TRUE(torch::equal(a.targets, b.targets));
  EXPECT_TRUE(torch::equal(a.weights, b.weights));
}

TEST(Split, GivesTheSegmentsInOrder) {
  for (int64_t most = 1; most <= 4; ++most) {
    const std::vector<Batch> parts = split(example(), most);
    EXPECT_EQ(parts.size(), static_cast<size_t>((3 + most - 1) / most));
    for (const Batch& part : parts) {
      EXPECT_LE(part.segment_count(), most);
      EXPECT_EQ(part.segments[0].item<int32_t>(), 0);
      EXPECT_EQ(part.segments[part.segment_count()].item<int32_t>(), part.token_count());
    }
    expect_equal(concatenate(parts), example());
  }
  EXPECT_THROW(split(example(), 0), std::invalid_argument);
}

TEST(Split, SharesTheMemoryOfTheBatch) {
  const Batch batch = example();
  const std::vector<Batch> parts = split(batch, 1);
  EXPECT_EQ(parts[1].tokens.data_ptr(), batch.tokens.data_ptr<int64_t>() + 5);
  EXPECT_EQ(parts[2].weights.data_ptr(), batch.weights.data_ptr<float>() + 6);
}

TEST(Split, ByTokensKeepsSegmentsWhole) {
  const auto lengths = [](int64_t most) {
    Longs result;
    for (const Batch& part : split_by_tokens(example(), most)) result.push_back(part.token_count());
    return result;
  };
  EXPECT_EQ(lengths(1), (Longs{5, 1, 2}));
  EXPECT_EQ(lengths(3), (Longs{5, 3}));
  EXPECT_EQ(lengths(6), (Longs{6, 2}));
  EXPECT_EQ(lengths(8), (Longs{8}));
  for (const int64_t most : {1, 3, 6, 8}) expect_equal(concatenate(split_by_tokens(example(), most)), example());
  EXPECT_THROW(split_by_tokens(example(), 0), std::invalid_argument);
}

}  // namespace
}  // namespace terse::data
