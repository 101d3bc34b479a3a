// Tests the epochs, the shares and the resumption of the stream of conversations, and the sample for validation.
#include "data/conversations/conversation_stream.h"

#include <map>

#include "base/errors.h"
#include "configs/load.h"
#include "data/pack.h"
#include "data/store/store_writer.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

// Conversation i has i % 5 + 2 tokens with id i % 256, of which the last is learned.
class ConversationStreamTest : public ::testing::Test {
 protected:
  ConversationSet set(int64_t count, int64_t step = 1) {
    const auto path = dir / (std::to_string(count) + ".h5");
    if (!std::filesystem::exists(path)) {
      const ByteTokenizer tokenizer;
      StoreWriter writer(path, tokenizer, StoreContent::kConversations);
      for (int64_t i = 0; i < count; ++i) {
        const size_t length = static_cast<size_t>(i % 5 + 2);
        std::vector<bool> learned(length, false);
        learned.back() = true;
        writer.add_conversation(std::vector<int32_t>(length, static_cast<int32_t>(i % 256)), learned, 0);
      }
      writer.finish({});
    }
    std::vector<int64_t> chosen;
    for (int64_t i = 0; i < count; i += step) chosen.push_back(i);
    return {TokenStore::open(path, {.content = StoreContent::kConversations}), chosen};
  }
  static std::vector<int64_t> numbers(const Batch& batch) {
    std::vector<int64_t> all;
    for (int64_t i = 0; i < batch.sequence_count(); ++i)
      all.push_back(batch.tokens[batch.sequences[i].item<int64_t>()].item<int64_t>());
    return all;
  }
  const TemporaryFolder dir;
};

bool equal_batches(const Batch& a, const Batch& b) {
  return torch::equal(a.tokens, b.tokens) && torch::equal(a.positions, b.positions) &&
         torch::equal(a.segments, b.segments) && torch::equal(a.sequences, b.sequences) &&
         torch::equal(a.targets, b.targets) && torch::equal(a.weights, b.weights);
}

TEST_F(ConversationStreamTest, AConversationIsASequenceWithItsLoss) {
  ConversationStream stream(set(3, 2), 1, 1);  // conversations 0 and 2, of 2 and 4 tokens
  std::map<int64_t, Batch> batches;
  for (int i = 0; i < 2; ++i) {
    const Batch batch = stream.next();
    batches[batch.tokens[0].item<int64_t>()] = batch;
  }
  const Batch& two = batches.at(2);
  EXPECT_TRUE(torch::equal(two.tokens, torch::full({4}, 2, torch::kInt64)));
  EXPECT_TRUE(torch::equal(two.positions, torch::arange(4)));
  EXPECT_TRUE(torch::equal(two.weights, torch::tensor({0.f, 0.f, 1.f, 0.f})));
  EXPECT_TRUE(torch::equal(two.targets, torch::tensor({0, 0, 2, 0}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(two.sequences, torch::tensor({0, 4}, torch::kInt32)));
  EXPECT_TRUE(torch::equal(batches.at(0).weights, torch::tensor({1.f, 0.f})));
}

TEST_F(ConversationStreamTest, EveryEpochHasEachOneInAnotherOrder) {
  ConversationStream stream(set(30), 4, 7);
  std::vector<int64_t> all;
  while (std::ssize(all) < 90) {
    const Batch batch = stream.next();
    EXPECT_EQ(batch.sequence_count(), 4) << "a batch continues with the next epoch";
    for (const int64_t number : numbers(batch)) all.push_back(number);
  }
  std::vector<std::vector<int64_t>> epochs;
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::vector<int64_t> order(all.begin() + epoch * 30, all.begin() + (epoch + 1) * 30);
    for (const auto& other : epochs) EXPECT_NE(order, other);
    epochs.push_back(order);
    std::sort(order.begin(), order.end());
    for (int64_t i = 0; i < 30; ++i) ASSERT_EQ(order[static_cast<size_t>(i)], i);
  }
  EXPECT_NE(numbers(ConversationStream(set(30), 30, 7).next()), numbers(ConversationStream(set(30), 30, 8).next()));
}

TEST_F(ConversationStreamTest, SharesMakeUpTheBatch) {
  ConversationStream whole(set(10), 7, 3);
  for (int step = 0; step < 5; ++step) {
    const nlohmann::json state = whole.state();
    const Batch batch = whole.next();
    for (const auto& cuts : {std::vector<int64_t>{0, 3, 7}, {0, 0, 1, 7}, {0, 7, 7}}) {
      std::vector<Batch> parts;
      for (size_t i = 0; i + 1 < cuts.size(); ++i) {
        ConversationStream rank(set(10), 7, 3);
        rank.restore(state);
        parts.push_back(rank.next(cuts[i], cuts[i + 1]));
        EXPECT_EQ(parts.back().sequence_count(), cuts[i + 1] - cuts[i]);
        EXPECT_EQ(rank.state(), whole.state()) << "whichever share it read";
      }
      EXPECT_TRUE(equal_batches(concatenate(parts), batch));
    }
  }
  EXPECT_THROW(whole.next(3, 8), std::invalid_argument);
}

TEST_F(ConversationStreamTest, ResumesAtEveryBatch) {
  ConversationStream stream(set(10), 3, 5);
  std::vector<nlohmann::json> states;
  std::vector<Batch> batches;
  for (int i = 0; i < 9; ++i) {
    states.push_back(stream.state());
    batches.push_back(stream.next());
  }
  for (size_t k = 0; k < states.size(); ++k) {
    ConversationStream resumed(set(10), 3, 5);
    resumed.restore(nlohmann::json::parse(states[k].dump()));
    for (size_t i = k; i < batches.size(); ++i) ASSERT_TRUE(equal_batches(resumed.next(), batches[i])) << k << " " << i;
  }
}

TEST_F(ConversationStreamTest, ForeignOrDamagedStatesAreRefused) {
  ConversationStream stream(set(10), 3, 5);
  stream.next();
  const nlohmann::json before = stream.state();
  EXPECT_THROW(stream.restore(ConversationStream(set(11), 3, 5).state()), ConfigError) << "another file";
  EXPECT_THROW(stream.restore(ConversationStream(set(10, 2), 3, 5).state()), ConfigError) << "another choice";
  EXPECT_THROW(stream.restore(ConversationStream(set(10), 3, 6).state()), ConfigError) << "another seed";
  for (const auto& [key, value] : std::map<std::string, nlohmann::json>{
           {"epoch", -1}, {"epoch", "one"}, {"cursor", -1}, {"cursor", 10}, {"cursor", nullptr}}) {
    nlohmann::json state = before;
    state[key] = value;
    EXPECT_THROW(stream.restore(state), DataError) << key << " " << value;
    state.erase(key);
    EXPECT_THROW(stream.restore(state), DataError) << "without " << key;
  }
  EXPECT_EQ(stream.state(), before);
  EXPECT_THROW(ConversationStream({}, 3, 5), std::invalid_argument);
  EXPECT_THROW(ConversationStream(set(10), 0, 5), std::invalid_argument);
}

TEST_F(ConversationStreamTest, ASampleHasAllOrSomeOfThemOnce) {
  for (const auto& [most, expected] : {std::pair<int64_t, int64_t>{100, 10}, {10, 10}, {7, 7}, {1, 1}}) {
    const ConversationSample sample(set(10), 4, most, 5);
    std::set<int64_t> seen;
    int64_t count = 0;
    for (int64_t i = 0; i < sample.size(); ++i) {
      const Batch batch = sample.batch(i, 0, sample.sequences(i));
      count += batch.sequence_count();
      for (const int64_t number : numbers(batch)) seen.insert(number);
    }
    EXPECT_EQ(count, expected);
    EXPECT_EQ(std::ssize(seen), expected);
  }
  EXPECT_EQ(ConversationSample(set(10), 4, 10, 5).sequences(2), 2);
  EXPECT_THROW(ConversationSample(set(10), 4, 10, 5).sequences(3), std::out_of_range);
  EXPECT_THROW(ConversationSample({}, 4, 10, 5), std::invalid_argument);
  EXPECT_THROW(ConversationSample(set(10), 4, 0, 5), std::invalid_argument);
}

}  // namespace
}  // namespace terse::data
