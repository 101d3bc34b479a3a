// Tests training against the library's vocabularies, by hand, and on texts that are read in pieces.
#include "data/tokenizers/bpe/train_bpe.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "data/tokenizers/bpe/merge_learner.h"
#include "tests/data/tokenizers/fixtures.h"

namespace terse::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

TEST(MergeLearner, JoinsTheMostFrequentPairAndPrefersLowIds) {
  // ab 3 times, bc 3 times: (a, b) has the lower ids. Then ab c is the only pair left.
  MergeLearner learner({"a", "b", "c"}, {{{0, 1, 2}, 3}});
  learner.run(10);
  EXPECT_THAT(learner.merges(), ElementsAre(Pair(0, 1), Pair(3, 2)));
  EXPECT_THAT(learner.tokens(), ElementsAre("a", "b", "c", "ab", "abc"));
}

TEST(MergeLearner, CountsPairsThatOverlapAsTheLibraryDoes) {
  MergeLearner learner({"a"}, {{{0, 0, 0, 0, 0}, 2}, {{0, 0}, 1}});
  learner.run(3);
  EXPECT_THAT(learner.merges(), ElementsAre(Pair(0, 0), Pair(1, 0)));
  EXPECT_THAT(learner.tokens(), ElementsAre("a", "aa", "aaa"));
}

TEST(MergeLearner, StopsAtTheSize) {
  MergeLearner learner({"a", "b"}, {{{0, 1, 0, 1}, 5}});
  learner.run(3);
  EXPECT_EQ(learner.tokens().size(), 3u);
  learner.run(3);
  EXPECT_EQ(learner.merges().size(), 1u);
}

TEST(TrainBpe, LearnsWhatTheLibraryLearns) {
  const TemporaryFolder dir;
  const std::string text = read_file(std::filesystem::path(TERSE_SOURCE_DIR) / "data/corpora/tinyshakespeare.txt");
  const auto path = dir.write("text.txt", text.substr(0, 200000));  // as make_fixtures.py
  for (const std::string pattern : {"gpt2", "llama3", "qwen2"}) {
    BpeTraining training;
    training.vocab_size = 700;
    training.pattern = pattern;
    training.special_tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    const auto trained = nlohmann::json::parse(train_bpe_tokenizer({path}, training)->definition());
    const auto library = nlohmann::json::parse(read_file(fixture_path(pattern + ".tokenizer.json")));
    EXPECT_EQ(trained["model"]["merges"], library["model"]["merges"]) << pattern;
    EXPECT_EQ(trained["model"]["vocab"], library["model"]["vocab"]) << pattern;
  }
}

TEST(TrainBpe, TheResultIsATokenizerOfItsText) {
  const TemporaryFolder dir;
  const auto path = dir.write("text.txt", "low lower lowest\xC3\xA9 <sep>low low");
  BpeTraining training;
  training.vocab_size = 262;
  training.special_tokens = {"<eot>", "<a>"};
  training.separator = "<sep>";
  const auto tokenizer = train_bpe_tokenizer({path}, training);
  EXPECT_EQ(tokenizer->vocab_size(), 262);
  EXPECT_EQ(tokenizer->eos(), 0);
  EXPECT_EQ(tokenizer->bos(), -1);
  EXPECT_THAT(tokenizer->encode_template("<eot><a>"), ElementsAre(0, 1));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("low \xC3\xA9")), "low \xC3\xA9");
  EXPECT_EQ(tokenizer->encode("low").size(), 1u);
}

TEST(TrainBpe, RefusesWhatCannotBe) {
  const TemporaryFolder dir;
  const auto path = dir.write("text.txt", "text");
  const auto refused = [&](auto change) {
    BpeTraining training;
    training.vocab_size = 300;
    change(training);
    return message_of<ConfigError>([&] { train_bpe_tokenizer({path}, training); });
  };
  EXPECT_THAT(refused([](auto& t) { t.vocab_size = 256; }),
              HasSubstr("the vocabulary has 256 tokens, expected 257 to"));
  EXPECT_THAT(refused([](auto& t) { t.vocab_size = int64_t{1} << 40; }), HasSubstr("expected 257 to 4194304"));
  EXPECT_THAT(refused([](auto& t) { t.pattern = "bert"; }), HasSubstr("known: gpt2, llama3, qwen2"));
  EXPECT_THAT(refused([](auto& t) {
                t.special_tokens = {"<x>", "<x>"};
              }),
              HasSubstr("\"<x>\" is empty, not UTF-8, or"));
  EXPECT_THAT(refused([](auto& t) { t.special_tokens = {"a"}; }), HasSubstr("\"a\" is empty, not UTF-8, or there"));
  EXPECT_THAT(refused([](auto& t) { t.special_tokens = {""}; }), HasSubstr("is empty"));
  BpeTraining training;
  training.vocab_size = 300;
  EXPECT_THAT(message_of<DataError>([&] { train_bpe_tokenizer({dir.write("bad.txt", "ok\nab\xFFz")}, training); }),
              HasSubstr("bad.txt:2: invalid UTF-8 (byte 0xFF) at byte 5 of the file"));
  EXPECT_THAT(message_of<DataError>([&] { train_bpe_tokenizer({dir.write("empty.txt", "")}, training); }),
              HasSubstr("empty.txt: there is no text"));
}

}  // namespace
}  // namespace terse::data
