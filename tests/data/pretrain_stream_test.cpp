// Tests the epochs, the shares and the resumption of the pretraining stream, and the validation set.
#include "data/pretrain_stream.h"

#include <map>
#include <numeric>

#include "data/pack.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/char_tokenizer.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

TokenRange corpus(int64_t size, const std::vector<int64_t>& documents = {}, int32_t first = 0) {
  std::vector<int32_t> tokens(size);
  std::iota(tokens.begin(), tokens.end(), first);
  return whole(std::make_shared<MemoryTokens>(tokens, documents));
}

bool same(const Batch& a, const Batch& b) {
  return torch::equal(a.tokens, b.tokens) && torch::equal(a.positions, b.positions) &&
         torch::equal(a.segments, b.segments) && torch::equal(a.sequences, b.sequences) &&
         torch::equal(a.targets, b.targets) && torch::equal(a.weights, b.weights);
}

const PretrainOptions kOptions{.seq_len = 8, .batch_size = 3, .seed = 11};

// Counts the targets until the epoch ends. The batch size must be 1, so that no batch reaches into the next epoch.
std::map<int64_t, int> targets_of_epoch(PretrainStream& stream, int64_t epoch) {
  std::map<int64_t, int> targets;
  while (stream.state()["epoch"] == epoch) {
    const Batch batch = stream.next();
    for (int64_t i = 0; i < batch.token_count(); ++i) {
      if (batch.weights[i].item<float>() != 0) ++targets[batch.targets[i].item<int64_t>()];
    }
  }
  return targets;
}

TEST(PretrainStream, EveryTokenIsATargetOnceAnEpoch) {
  for (const std::vector<int64_t>& documents : {std::vector<int64_t>{0}, {0, 1, 30, 31, 32, 90}}) {
    PretrainStream stream(corpus(100, documents), {.seq_len = 8, .batch_size = 1, .seed = 5});
    for (int64_t epoch = 0; epoch < 4; ++epoch) {
      const std::map<int64_t, int> targets = targets_of_epoch(stream, epoch);
      for (int64_t token = 0; token < 100; ++token) {
        const bool expected = !std::binary_search(documents.begin(), documents.end(), token);
        ASSERT_EQ(targets.contains(token), expected) << token;
        if (expected) {
          ASSERT_EQ(targets.at(token), 1);
        }
      }
    }
  }
}

TEST(PretrainStream, ResumesAtEveryBatchOfSeveralEpochs) {
  const TokenRange range = corpus(100, {0, 40, 41, 77});
  PretrainStream stream(range, kOptions);
  std::vector<nlohmann::json> states;
  std::vector<Batch> batches;
  for (int i = 0; i < 20; ++i) {
    states.push_back(stream.state());
    batches.push_back(stream.next());
  }
  ASSERT_GE(stream.state()["epoch"].get<int64_t>(), 3);
  for (size_t k = 0; k < states.size(); ++k) {
    PretrainStream resumed(range, kOptions);
    resumed.restore(nlohmann::json::parse(states[k].dump()));
    EXPECT_EQ(resumed.state(), states[k]);
    for (size_t i = k; i < batches.size(); ++i) ASSERT_TRUE(same(resumed.next(), batches[i])) << k << " " << i;
  }
}

TEST(PretrainStream, OrdersAndCutsDependOnSeedAndEpoch) {
  const TokenRange range = corpus(1000);
  const auto first = [&](uint64_t seed, int64_t epoch) {
    PretrainOptions options = kOptions;
    options.seed = seed;
    PretrainStream stream(range, options);
    nlohmann::json state = stream.state();
    state["epoch"] = epoch;
    stream.restore(state);
    return stream.next();
  };
  EXPECT_TRUE(same(first(1, 0), first(1, 0)));
  EXPECT_FALSE(same(first(1, 0), first(2, 0)));
  EXPECT_FALSE(same(first(1, 0), first(1, 1)));
}

// Every epoch has a new order. The cuts also shift between epochs, so the test compares where the windows are in the
// corpus.
TEST(PretrainStream, EveryEpochHasAnOrderOfItsOwnAndSoHasEverySeed) {
  const auto order = [](uint64_t seed, int64_t epoch) {
    PretrainStream stream(corpus(1600), {.seq_len = 8, .batch_size = 1, .seed = seed});
    nlohmann::json state = stream.state();
    state["epoch"] = epoch;
    stream.restore(state);
    std::vector<int64_t> windows;
    for (int i = 0; i < 190; ++i) windows.push_back((stream.next().tokens[0].item<int64_t>() + 7) / 8);
    EXPECT_EQ(stream.state()["epoch"], epoch);
    return windows;
  };
  std::vector<std::vector<int64_t>> orders;
  for (const uint64_t seed : {1, 2})
    for (const int64_t epoch : {0, 1, 2, 3}) orders.push_back(order(seed, epoch));
  std::vector<int64_t> ascending(200);
  std::iota(ascending.begin(), ascending.end(), 0);
  orders.push_back(ascending);
  for (size_t a = 0; a < orders.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      int64_t same_place = 0;
      for (int64_t i = 0; i < 190; ++i) same_place += orders[a][i] == orders[b][i] ? 1 : 0;
      // Two random orders agree in about one place. Ten or more agreements have a probability below 1e-6.
      EXPECT_LT(same_place, 10) << a << " and " << b;
    }
  }
}

// Counts the windows that are read.
class CountedTokens final : public TokenSource {
 public:
  explicit CountedTokens(TokenRange range) : range_(std::move(range)) {}
  int64_t size() const override { return range_.source->size(); }
  void read(int64_t begin, std::span<int32_t> out) const override {
    ++reads;
    range_.source->read(begin, out);
  }
  const std::vector<int64_t>& documents() const override { return range_.source->documents(); }
  std::string content_hash() const override { return range_.source->content_hash(); }
  mutable int64_t reads = 0;

 private:
  TokenRange range_;
};

TEST(PretrainStream, SharesOfABatchAreTheBatchAndNothingElseIsRead) {
  const auto source = std::make_shared<CountedTokens>(corpus(100, {0, 33, 34}));
  PretrainOptions options = kOptions;
  options.batch_size = 5;
  PretrainStream alone(whole(source), options);
  const std::vector<int64_t> bounds = {0, 2, 2, 3, 5};
  for (int step = 0; step < 15; ++step) {  // over several ends of epochs
    std::vector<Batch> parts;
    const nlohmann::json start = alone.state();
    const Batch batch = alone.next();
    for (size_t rank = 0; rank + 1 < bounds.size(); ++rank) {
      PretrainStream stream(whole(source), options);
      stream.restore(start);
      source->reads = 0;
      parts.push_back(stream.next(bounds[rank], bounds[rank + 1]));
      ASSERT_EQ(source->reads, bounds[rank + 1] - bounds[rank]);
      ASSERT_EQ(parts.back().sequence_count(), bounds[rank + 1] - bounds[rank]);
      ASSERT_EQ(stream.state(), alone.state());
    }
    ASSERT_TRUE(same(concatenate(parts), batch)) << "step " << step;
  }
  EXPECT_GE(alone.state()["epoch"], 2);
  EXPECT_THROW(alone.next(0, 6), std::invalid_argument);
  EXPECT_THROW(alone.next(3, 2), std::invalid_argument);
}

TEST(PretrainStream, GivesFullBatchesFromATinyCorpus) {
  PretrainStream stream(corpus(5), {.seq_len = 64, .batch_size = 12, .seed = 1});
  for (int i = 0; i < 5; ++i) {
    const Batch batch = stream.next();
    EXPECT_GE(batch.segment_count(), 12);
    EXPECT_LE(batch.token_count(), 12 * 4);
  }
  PretrainStream two(corpus(2), {.seq_len = 64, .batch_size = 1, .seed = 1});
  EXPECT_EQ(two.next().token_count(), 1);
  EXPECT_EQ(two.state()["epoch"], 1);
}

TEST(PretrainStream, RefusesAForeignStateAndKeepsItsOwn) {
  PretrainStream stream(corpus(100), kOptions);
  stream.next();
  const nlohmann::json state = stream.state();
  const auto refused = [&](const TokenRange& range, const PretrainOptions& options) {
    PretrainStream other(range, options);
    const nlohmann::json before = other.state();
    const std::string message = message_of<std::runtime_error>([&] { other.restore(state); });
    EXPECT_EQ(other.state(), before);
    return message;
  };
  const std::string content = refused(corpus(100, {}, 1), kOptions);
  EXPECT_NE(content.find(state["content_sha256"]), std::string::npos) << content;
  EXPECT_NE(content.find(corpus(100, {}, 1).source->content_hash()), std::string::npos) << content;
  TokenRange part = corpus(100);
  part.end = 90;
  EXPECT_NE(refused(part, kOptions).find("end_token 100, but this run has 90"), std::string::npos);
  PretrainOptions options = kOptions;
  options.seq_len = 16;
  EXPECT_NE(refused(corpus(100), options).find("context 8, but this run has 16"), std::string::npos);
  options = kOptions;
  options.seed = 12;
  EXPECT_NE(refused(corpus(100), options).find("seed 11, but this run has 12"), std::string::npos);
}

TEST(PretrainStream, RefusesADamagedState) {
  PretrainStream stream(corpus(100), kOptions);
  const nlohmann::json good = stream.state();
  for (const auto& [key, value] : good.items()) {
    nlohmann::json bad = good;
    bad.erase(key);
    EXPECT_THROW(stream.restore(bad), std::runtime_error) << key;
    bad[key] = nlohmann::json::array();
    EXPECT_THROW(stream.restore(bad), std::runtime_error) << key;
  }
  for (const int64_t value : {-1, 1000}) {
    nlohmann::json bad = good;
    bad["cursor"] = value;
    EXPECT_THROW(stream.restore(bad), std::runtime_error);
  }
  EXPECT_THROW(stream.restore(nullptr), std::runtime_error);
}

TEST(PretrainStream, RefusesImpossibleOptions) {
  const auto make = [](TokenRange range, PretrainOptions options) { PretrainStream(std::move(range), options); };
  EXPECT_THROW(make(corpus(1), kOptions), std::invalid_argument);
  EXPECT_THROW(make({}, kOptions), std::invalid_argument);
  EXPECT_THROW(make(corpus(9), {.seq_len = 0, .batch_size = 1}), std::invalid_argument);
  EXPECT_THROW(make(corpus(9), {.seq_len = 4, .batch_size = 0}), std::invalid_argument);
}

TEST(ValidationSet, CoversASmallSetExactlyOnce) {
  const ValidationSet set(corpus(50, {0, 20}), 8, 2, 100, 3);
  EXPECT_EQ(set.size(), 4);
  std::map<int64_t, int> targets;
  for (int64_t b = 0; b < set.size(); ++b) {
    const Batch batch = set.batch(b);
    for (int64_t i = 0; i < batch.token_count(); ++i) {
      if (batch.weights[i].item<float>() != 0) ++targets[batch.targets[i].item<int64_t>()];
    }
  }
  EXPECT_EQ(targets.size(), 48u);
  for (const auto& [token, count] : targets) EXPECT_EQ(count, 1) << token;
}

TEST(ValidationSet, IsTheSameEveryTimeAndRepeatsNoWindow) {
  const ValidationSet set(corpus(1000), 8, 4, 5, 3);
  const ValidationSet again(corpus(1000), 8, 4, 5, 3);
  EXPECT_EQ(set.size(), 5);
  std::set<int64_t> starts;
  for (int64_t b = 0; b < 5; ++b) {
    EXPECT_TRUE(same(set.batch(b), again.batch(b)));
    const Batch batch = set.batch(b);
    for (int64_t i = 0; i < batch.segment_count(); ++i) {
      EXPECT_TRUE(starts.insert(batch.tokens[batch.segments[i].item<int32_t>()].item<int64_t>()).second);
    }
  }
  EXPECT_TRUE(same(concatenate({set.batch(1, 0, 1), set.batch(1, 1, 1), set.batch(1, 1, 4)}), set.batch(1)));
  EXPECT_THROW(set.batch(1, 0, 5), std::invalid_argument);
  EXPECT_THROW(set.batch(5), std::out_of_range);
  EXPECT_THROW(ValidationSet(corpus(9), 8, 1, 0, 1), std::invalid_argument);
  EXPECT_THROW(ValidationSet(corpus(9), 0, 1, 1, 1), std::invalid_argument);
}

// Bits per byte are relative to the bytes of the predicted tokens, not to those of the whole text.
TEST(ValidationSet, BytesPerTokenAreThoseOfTheTokensThatItPredicts) {
  const CharTokenizer tokenizer({U'a', U'b', U'\u20AC'});  // the sign has 3 bytes
  const auto bytes_of = [&](const std::string& text, int64_t begin, const std::vector<int64_t>& documents = {}) {
    TokenRange range = whole(std::make_shared<MemoryTokens>(tokenizer.encode(text), documents));
    range.begin = begin;
    return ValidationSet(range, 4, 2, 100, 1).bytes_per_token(tokenizer);
  };
  const std::string sign = "\xE2\x82\xAC";
  EXPECT_EQ(bytes_of("abababab", 0), 1.0);
  EXPECT_EQ(bytes_of("aaaaaaaaaaa" + sign + sign + sign, 11), 3.0) << "the training part does not count";
  EXPECT_EQ(bytes_of(sign + "a" + "b", 0), 1.0) << "the first token is predicted by nothing";
  EXPECT_EQ(bytes_of("a" + sign + "b" + sign, 0), 7.0 / 3);
  // The documents are "a", "b<sign>" and "<sign>a". Nothing predicts the first token of each.
  EXPECT_EQ(bytes_of("ab" + sign + sign + "a", 0, {0, 1, 3}), 4.0 / 2);
  EXPECT_EQ(bytes_of("ab" + sign, 0, {0, 1, 2}), std::nullopt) << "nothing is predicted";
}

TEST(ValidationSet, BytesPerTokenCountOnlyTheBatchesThatItHas) {
  const ByteTokenizer bytes;
  std::vector<int32_t> tokens(1000, 'a');
  for (size_t i = 0; i < tokens.size(); i += 2) tokens[i] = bytes.eos();  // no text
  const ValidationSet set(whole(std::make_shared<MemoryTokens>(tokens)), 8, 2, 3, 1);
  int64_t letters = 0, predicted = 0;
  for (int64_t b = 0; b < set.size(); ++b) {
    const Batch batch = set.batch(b);
    predicted += batch.weights.count_nonzero().item<int64_t>();
    letters += (batch.targets == int64_t{'a'}).sum().item<int64_t>();
  }
  EXPECT_EQ(predicted, 3 * 2 * 8);
  EXPECT_EQ(set.bytes_per_token(bytes), static_cast<double>(letters) / static_cast<double>(predicted));
}

}  // namespace
}  // namespace terse::data
