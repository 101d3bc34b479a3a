// Tests how conversations are stored, split, left out and reused, and what happens when their file changes.
#include "data/conversations/conversations.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "base/errors.h"
#include "configs/load.h"
#include "data/jsonl/bad_lines.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/symbol_tokenizer.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string line(const std::string& prompt, const std::string& completion = "x") {
  return "{\"prompt\": \"" + prompt + "\", \"completion\": \"" + completion + "\"}\n";
}

std::string lines(int begin, int end) {
  std::string all;
  for (int i = begin; i < end; ++i) all += line(std::to_string(i));
  return all;
}

class ConversationsTest : public ::testing::Test {
 protected:
  ConversationsTest() {
    config.sft.val_fraction = 0;
    config.model.max_seq_len = 100;
  }
  Conversations open(const std::string& train, const std::string& val = "") {
    config.sft.train = dir.write("train.jsonl", train);
    if (!val.empty()) config.sft.val = dir.write("val.jsonl", val);
    return again();
  }
  Conversations again(const CacheOptions& options = {}) { return open_conversations(config, format, cache(), options); }
  std::filesystem::path cache() const { return dir / "data"; }
  // The names of stores, which are made anew when they are gone.
  std::vector<std::string> stores() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(cache()))
      if (entry.path().extension() == ".h5") names.push_back(entry.path().filename());
    return names;
  }
  // The prompts of a set.
  static std::vector<std::string> prompts(const ConversationSet& set) {
    std::vector<std::string> all;
    for (int64_t i = 0; i < set.size(); ++i) {
      const Sequence sequence = set.at(i);
      std::vector<int32_t> ids;
      for (size_t t = 0; t < sequence.tokens.size(); ++t)
        if (sequence.weights[t] == 0) ids.push_back(sequence.tokens[t]);
      all.push_back(ByteTokenizer().decode(ids));
    }
    return all;
  }

  const TemporaryFolder dir;
  configs::RunConfig config;
  const ChatFormat format{std::make_shared<ByteTokenizer>(), "", "template", {}};
};

TEST_F(ConversationsTest, TokensAndMarksComeBackFromTheStore) {
  const Conversations opened = open(line("ab", "cd") + line("e", "f"));
  ASSERT_EQ(opened.train.size(), 2);
  EXPECT_EQ(opened.train.at(0).tokens, (std::vector<int32_t>{'a', 'b', 'c', 'd', ByteTokenizer::kEos}));
  EXPECT_EQ(opened.train.at(0).weights, (std::vector<float>{0, 0, 1, 1, 1}));
  EXPECT_EQ(opened.train.at(1).tokens, (std::vector<int32_t>{'e', 'f', ByteTokenizer::kEos}));
  EXPECT_EQ(opened.train.at(1).weights, (std::vector<float>{0, 1, 1}));
  EXPECT_EQ(opened.val.size(), 0);
  EXPECT_THAT(opened.notes, IsEmpty());
}

TEST_F(ConversationsTest, TheSplitFollowsTheContent) {
  config.sft.val_fraction = 0.3;
  const Conversations before = open(lines(0, 200) + lines(0, 50));
  const std::vector<std::string> val = prompts(before.val), train = prompts(before.train);
  EXPECT_NEAR(std::ssize(val), 75, 30);
  EXPECT_EQ(val.size() + train.size(), 250u);
  for (const std::string& prompt : val) EXPECT_EQ(std::count(train.begin(), train.end(), prompt), 0) << "a duplicate";
  const std::vector<std::string> more = prompts(open(lines(500, 600) + lines(0, 200)).val);
  for (const std::string& prompt : val) EXPECT_EQ(std::count(more.begin(), more.end(), prompt), 1) << "it has moved";
  for (const std::string& prompt : train) EXPECT_EQ(std::count(more.begin(), more.end(), prompt), 0) << "it has moved";
}

TEST_F(ConversationsTest, LongOnesAreLeftOutAndCounted) {
  config.model.max_seq_len = 4;
  const Conversations opened = open(line("abc") + line("ab") + line("abcdef"));
  EXPECT_THAT(prompts(opened.train), ElementsAre("ab"));
  EXPECT_THAT(opened.notes,
              ElementsAre(AllOf(HasSubstr("sft.train: 2 of 3 conversations are longer"), HasSubstr("(4 "))));
  config.model.max_seq_len = 3;
  EXPECT_THAT(message_of<ConfigError>([&] { again(); }), AllOf(HasSubstr("no conversation is left"), HasSubstr("3")));
}

TEST_F(ConversationsTest, BadLinesAreWrittenDownUpToAShare) {
  config.data.max_bad_lines = 0.25;
  const Conversations opened = open(line("a") + "nonsense\n" + line("b") + line("c"));
  EXPECT_THAT(prompts(opened.train), ElementsAre("a", "b", "c"));
  EXPECT_THAT(opened.notes,
              ElementsAre(AllOf(HasSubstr("1 of 4 lines"), HasSubstr("train.jsonl"), HasSubstr(kBadLinesFile))));
  EXPECT_THAT(read_file(cache() / kBadLinesFile), AllOf(HasSubstr("\"line\":2"), HasSubstr("not JSON")));
  EXPECT_EQ(again().notes, opened.notes) << "later starts tell it, too";
  config.data.max_bad_lines = 0.2;
  EXPECT_THAT(message_of<DataError>([&] { again(); }), HasSubstr("line 2: not JSON")) << "from the store";
  for (const std::string& name : stores()) std::filesystem::remove(cache() / name);
  EXPECT_THAT(message_of<DataError>([&] { again(); }), HasSubstr("line 2: not JSON")) << "from the file";
  EXPECT_THAT(stores(), IsEmpty()) << "a build that fails leaves no store";
}

TEST_F(ConversationsTest, ATemplateThatEndsNoTurnIsTold) {
  config.sft.train = dir.write("train.jsonl", lines(0, 3));
  const auto ends_turns = [&](const std::string& end) {
    const std::string text = "{% for m in messages %}{{ m.content }}" + end + "{% endfor %}";
    const auto words = std::make_shared<SymbolTokenizer>("t", std::vector<std::string>{"?", "!", "<eos>", "<e>"});
    return ChatFormat(words, text, "template", {}).template_ends_turns();
  };
  EXPECT_TRUE(ends_turns("<eos>"));
  EXPECT_FALSE(ends_turns("<e>"));
  const ChatFormat endless(std::make_shared<ByteTokenizer>(), "{% for m in messages %}{{ m.content }}{% endfor %}",
                           "template", {});
  EXPECT_THAT(
      open_conversations(config, endless, cache()).notes,
      ElementsAre(HasSubstr("the chat template ends the assistant's turns with no token that ends a response")));
}

TEST_F(ConversationsTest, DuplicatesAcrossFilesAreCounted) {
  EXPECT_THAT(open(lines(0, 10), lines(8, 13)).notes, ElementsAre(HasSubstr("2 of the 5 conversations of sft.val")));
  EXPECT_THAT(open(lines(0, 10), lines(20, 23)).notes, IsEmpty());
  EXPECT_THAT(prompts(again().val), ElementsAre("20", "21", "22"));
}

TEST_F(ConversationsTest, AFileWithoutAnyIsRefused) {
  EXPECT_THAT(message_of<DataError>([&] { open("\n\n"); }), HasSubstr("has no conversation"));
  config.sft.val_fraction = 1e-9;
  EXPECT_THAT(open(lines(0, 3)).notes, ElementsAre(HasSubstr("chose none of the 3")));
  config.sft.train = dir / "absent.jsonl";
  EXPECT_THAT(message_of<ConfigError>([&] { again(); }), HasSubstr("sft.train: no such file"));
  config.sft.train = dir.write("packed.jsonl", "PAR1");
  EXPECT_THAT(message_of<DataError>([&] { again(); }), HasSubstr("Parquet"));
}

TEST_F(ConversationsTest, AStoreIsReusedUntilItIsDamaged) {
  open(lines(0, 5));
  ASSERT_EQ(stores().size(), 1u);
  const auto store = cache() / stores()[0];
  const auto written = std::filesystem::last_write_time(store);
  again();
  EXPECT_EQ(std::filesystem::last_write_time(store), written);
  std::string bytes = read_file(store);
  bytes[bytes.size() / 2] ^= 1;
  dir.write("data/" + store.filename().string(), bytes.substr(0, bytes.size() - 100));
  EXPECT_EQ(again().train.size(), 5);
  config.chat.system = "Be brief.";
  const ChatFormat other(std::make_shared<ByteTokenizer>(), "", "template", config.chat);
  open_conversations(config, other, cache());
  EXPECT_EQ(stores().size(), 2u) << "another format has another store";
}

TEST_F(ConversationsTest, AFileMayGoButNotChange) {
  const Conversations before = open(lines(0, 5));
  const CacheOptions begun{.sources = before.sources, .unchanged = true};
  dir.write("train.jsonl", lines(0, 6));
  EXPECT_THAT(message_of<ConfigError>([&] { again(begun); }), HasSubstr("has changed since the run began"));
  EXPECT_EQ(again({.sources = before.sources}).train.size(), 6) << "before it has begun";
  std::filesystem::remove(dir / "train.jsonl");
  const Conversations after = again(begun);
  EXPECT_EQ(after.train.content_hash(), before.train.content_hash());
  EXPECT_EQ(after.sources, before.sources);
  EXPECT_THAT(after.notes, ElementsAre(HasSubstr("no longer exists")));
}

TEST_F(ConversationsTest, AnInterruptionPassesThrough) {
  config.sft.train = dir.write("train.jsonl", lines(0, 5));
  EXPECT_THROW(again({.progress = [](int64_t, int64_t) { throw std::runtime_error("stop"); }}), std::runtime_error);
}

}  // namespace
}  // namespace terse::data
