// Tests how a corpus is opened, split and cached, and what happens when its files change or disappear.
#include "data/corpus.h"

#include <sys/stat.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "base/errors.h"
#include "configs/load.h"
#include "data/pretrain_stream.h"
#include "data/store/build_store.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/char_tokenizer.h"
#include "data/tokenizers/symbol_tokenizer.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

configs::Tokenizer kind(const std::string& name) {
  configs::Tokenizer config;
  config.kind = name;
  return config;
}

configs::Data data(const std::string& train, const std::string& val = "", double fraction = 0.1,
                   const std::string& separator = "") {
  configs::Data config;
  config.train = train;
  config.val = val;
  config.val_fraction = fraction;
  config.separator = separator;
  return config;
}

// Opens a corpus with the tokenizer that a config selects.
Corpus open_corpus(const configs::Data& config, const configs::Tokenizer& tokenizer, const std::filesystem::path& cache,
                   const CorpusOptions& options = {}) {
  return open_corpus(config, make_tokenizer(tokenizer, config.train, config.separator), cache, options);
}

std::string text_of(const Corpus& corpus, const TokenRange& range) {
  std::vector<int32_t> tokens(range.size());
  range.source->read(range.begin, tokens);
  return corpus.tokenizer->decode(tokens);
}

TEST(Corpus, HoldsOutTheEndOfATextFile) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "abcdefghijklmnopqrst");
  const Corpus corpus = open_corpus(data(text), kind("char"), dir / "cache");
  EXPECT_EQ(corpus.tokenizer->vocab_size(), 20);
  EXPECT_EQ(text_of(corpus, corpus.train), "abcdefghijklmnopqr");
  EXPECT_EQ(text_of(corpus, corpus.val), "st");
}

TEST(Corpus, SplitsWhereTheUsualCharacterBenchmarkDoes) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", std::string(111539, 'x'));
  const Corpus corpus = open_corpus(data(text), kind("auto"), dir / "cache");
  EXPECT_EQ(corpus.train.size(), 100385) << "int(n * 0.9)";
}

TEST(Corpus, TakesAValidationFileOfItsOwn) {
  const TemporaryFolder dir;
  const Corpus corpus =
      open_corpus(data(dir.write("train.txt", "abcabc"), dir.write("val.txt", "cab")), kind("char"), dir / "cache");
  EXPECT_EQ(text_of(corpus, corpus.train), "abcabc");
  EXPECT_EQ(text_of(corpus, corpus.val), "cab");
  const std::string message = message_of<DataError>(
      [&] { open_corpus(data(dir / "train.txt", dir.write("other.txt", "abd")), kind("char"), dir / "cache"); });
  EXPECT_NE(message.find("other.txt:1: character 'd'"), std::string::npos) << message;
}

TEST(Corpus, NoValidationWhenNoneIsAskedFor) {
  const TemporaryFolder dir;
  const Corpus corpus = open_corpus(data(dir.write("train.txt", "abcabc"), "", 0), kind("byte"), dir / "cache");
  EXPECT_FALSE(corpus.val);
  EXPECT_EQ(corpus.train.size(), 6);
}

TEST(Corpus, ReadsATokenStoreWithItsOwnTokenizer) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "a|b|c|d|e|f");
  build_store({text}, dir / "text.h5", CharTokenizer({'a', 'b', 'c', 'd', 'e', 'f'}), {.separator = "|"});
  for (const char* name : {"auto", "char"}) {
    const Corpus corpus = open_corpus(data(dir / "text.h5", "", 0.5), kind(name), dir / "cache");
    EXPECT_EQ(text_of(corpus, corpus.train), "abc");
    EXPECT_EQ(corpus.train.source->documents().size(), 6u);
  }
  EXPECT_FALSE(std::filesystem::exists(dir / "cache"));
}

TEST(Corpus, NamesBothTokenizersOfAMismatch) {
  const TemporaryFolder dir;
  build_store({dir.write("text.txt", "abc")}, dir / "text.h5", CharTokenizer({'a', 'b', 'c'}));
  const std::string message =
      message_of<ConfigError>([&] { open_corpus(data(dir / "text.h5"), kind("byte"), dir / "cache"); });
  EXPECT_NE(message.find(CharTokenizer({'a', 'b', 'c'}).id()), std::string::npos) << message;
  EXPECT_NE(message.find("the tokenizer of this run is byte"), std::string::npos) << message;
}

TEST(Corpus, RefusesWhatTheConfigGetsWrong) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "abcdefghij");
  build_store({text}, dir / "text.h5", ByteTokenizer());
  const auto error = [&](const configs::Data& config) {
    return message_of<ConfigError>([&] { open_corpus(config, kind("byte"), dir / "cache"); });
  };
  EXPECT_NE(error(data("")).find("data.train is empty"), std::string::npos);
  EXPECT_NE(error(data(dir / "absent.txt")).find("data.train: no such file"), std::string::npos);
  EXPECT_NE(error(data(text, dir / "absent.txt")).find("data.val: no such file"), std::string::npos);
  EXPECT_NE(error(data(text, "", 1)).find("data.val_fraction is 1"), std::string::npos);
  EXPECT_NE(error(data(text, "", -0.5)).find("data.val_fraction"), std::string::npos);
  EXPECT_NE(error(data(text, "", std::nan(""))).find("data.val_fraction"), std::string::npos);
  EXPECT_NE(error(data(dir.write("one.txt", "x"), "", 0)).find("has 1 tokens of 1"), std::string::npos);
  EXPECT_NE(error(data(text, "", 0.05)).find("1 tokens of 10"), std::string::npos);
  EXPECT_NE(error(data(text, "", 0.95)).find("data.train (less data.val_fraction) has 0 tokens of 10"),
            std::string::npos);
  EXPECT_NE(error(data(dir / "text.h5", "", 0, "|")).find("data.separator"), std::string::npos);
}

TEST(Corpus, RefusesFilesThatAreNotWhatTheySeem) {
  const TemporaryFolder dir;
  EXPECT_THROW(open_corpus(data(dir.write("fake.h5", "text")), kind("byte"), dir / "cache"), DataError);
  EXPECT_THROW(open_corpus(data(dir.write("empty.txt", "")), kind("byte"), dir / "cache"), DataError);
  EXPECT_THROW(open_corpus(data(dir.write("empty.txt", "")), kind("char"), dir / "cache"), DataError);
  EXPECT_THROW(open_corpus(data(dir.write("bad.txt", "ab\xFF")), kind("char"), dir / "cache"), DataError);
  EXPECT_THROW(open_corpus(data(dir.path()), kind("byte"), dir / "cache"), DataError);
}

TEST(Corpus, BuildsAStoreOnceAndAgainWhenItIsDamaged) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", std::string(1000, 'x') + "yz");
  // A build writes a new file beside the old store and then renames it. So each build creates a new inode.
  std::set<std::pair<std::string, uint64_t>> files;
  size_t built = 0;
  const auto open = [&](const char* name, const std::string& separator = "") {
    Corpus corpus = open_corpus(data(text, "", 0.1, separator), kind(name), dir / "cache");
    for (const auto& entry : std::filesystem::directory_iterator(dir / "cache")) {
      struct stat info {};
      EXPECT_EQ(::stat(entry.path().c_str(), &info), 0);
      files.insert({entry.path().filename(), info.st_ino});
    }
    built = files.size();
    return corpus;
  };
  const std::string hash = open("byte").train.source->content_hash();
  EXPECT_EQ(built, 1u);
  open("byte");
  EXPECT_EQ(built, 1u) << "found again";
  open("char");
  open("byte", "y");
  EXPECT_EQ(built, 3u) << "another tokenizer, another separator";

  for (const auto& entry : std::filesystem::directory_iterator(dir / "cache")) {
    std::string bytes = read_file(entry.path());
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x10);
    std::ofstream(entry.path(), std::ios::binary) << bytes.substr(0, bytes.size() - 10);
  }
  EXPECT_EQ(open("byte").train.source->content_hash(), hash);
  EXPECT_EQ(built, 4u);

  dir.write("text.txt", std::string(1000, 'x') + "yy");
  EXPECT_NE(open("byte").train.source->content_hash(), hash);
  EXPECT_EQ(built, 5u) << "another text";
}

TEST(Corpus, TellsWhatItsFilesWere) {
  const TemporaryFolder dir;
  build_store({dir.write("val.txt", "xxyz")}, dir / "val.h5", ByteTokenizer());
  const auto text = dir.write("text.txt", "abcdefghij");
  const Corpus corpus = open_corpus(data(text, dir / "val.h5"), kind("byte"), dir / "cache");
  ASSERT_EQ(corpus.sources.size(), 2u);
  const Source& train = corpus.sources.at("data.train");
  EXPECT_EQ(train.file, text.string());
  EXPECT_EQ(train.sha256, "72399361da6a7754fec986dca5b7cbaf1c810a28ded4abaf56b2106d06cb78b0")
      << "sha256sum of the text";
  EXPECT_TRUE(std::filesystem::exists(dir / "cache" / train.store));
  EXPECT_EQ(corpus.sources.at("data.val"), (Source{dir / "val.h5", corpus.val.source->content_hash(), ""}));
  save_sources(dir / "cache", corpus.sources);
  EXPECT_EQ(load_sources(dir / "cache"), corpus.sources);
  EXPECT_TRUE(load_sources(dir.path()).empty());
  dir.write("sources.json", R"({"data.train": {"file": "a"}})");
  EXPECT_THROW(load_sources(dir.path()), DataError);
  // A record that exists but cannot be read is an error. Only a missing record is empty.
  std::filesystem::remove(dir.path() / "sources.json");
  std::filesystem::create_symlink("sources.json", dir.path() / "sources.json");
  EXPECT_THROW(load_sources(dir.path()), DiskError);
}

TEST(Corpus, TokensStandInForATextThatIsGone) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "abcdefghij"), val = dir.write("val.txt", "jihg");
  const Corpus before = open_corpus(data(text, val), kind("char"), dir / "cache");
  const CorpusOptions options{.sources = before.sources, .unchanged = true};
  std::filesystem::remove(text);
  std::filesystem::remove(val);
  const Corpus after = open_corpus(data(text, val), before.tokenizer, dir / "cache", options);
  EXPECT_EQ(after.train.source->content_hash(), before.train.source->content_hash());
  EXPECT_EQ(after.val.source->content_hash(), before.val.source->content_hash());
  EXPECT_EQ(after.sources, before.sources);
  ASSERT_EQ(after.notes.size(), 2u);
  EXPECT_NE(after.notes[0].find("text.txt no longer exists"), std::string::npos) << after.notes[0];
  const auto refused = [&](const std::shared_ptr<const Tokenizer>& tokenizer) {
    return message_of<ConfigError>([&] { open_corpus(data(text, val), tokenizer, dir / "cache", options); });
  };
  EXPECT_NE(refused(std::make_shared<ByteTokenizer>()).find("the tokenizer of this run is byte"), std::string::npos);
  std::filesystem::remove(dir / "cache" / before.sources.at("data.train").store);
  EXPECT_NE(refused(before.tokenizer).find("no longer exists either"), std::string::npos) << refused(before.tokenizer);
}

TEST(Corpus, RefusesFilesThatHaveChanged) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "abcdefghij"), val = dir.write("val.txt", "xyz");
  const auto store = dir / "store.h5";
  build_store({text}, store, ByteTokenizer());
  const auto tokenizer = std::make_shared<ByteTokenizer>();
  const auto sources = [&](const configs::Data& config) {
    return open_corpus(config, tokenizer, dir / "cache").sources;
  };
  const auto refused = [&](const configs::Data& config, const Sources& known) {
    EXPECT_NO_THROW(open_corpus(config, tokenizer, dir / "cache", {.sources = known})) << "before it has begun";
    return message_of<ConfigError>(
        [&] { open_corpus(config, tokenizer, dir / "cache", {.sources = known, .unchanged = true}); });
  };
  const Sources of_text = sources(data(text, val)), of_store = sources(data(store, "", 0));
  EXPECT_NO_THROW(open_corpus(data(text, val), tokenizer, dir / "cache", {.sources = of_text, .unchanged = true}));
  dir.write("val.txt", "xyy");
  EXPECT_NE(refused(data(text, val), of_text).find("data.val: " + val.string() + " has changed"), std::string::npos);
  dir.write("val.txt", "xyz");
  dir.write("text.txt", "abcdefghik");
  EXPECT_NE(refused(data(text, val), of_text).find("data.train: " + text.string() + " has changed"), std::string::npos);
  build_store({text}, store, ByteTokenizer(), {.overwrite = true});
  EXPECT_NE(refused(data(store, "", 0), of_store).find("data.train: " + store.string() + " has changed"),
            std::string::npos);
  std::filesystem::remove(store);
  const std::string gone = message_of<ConfigError>(
      [&] { open_corpus(data(store, "", 0), tokenizer, dir / "cache", {.sources = of_store, .unchanged = true}); });
  EXPECT_NE(gone.find("--set data.train=FILE"), std::string::npos) << gone;
}

TEST(Corpus, WorksWithATokenizerThatIsGiven) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "1 + 2\n2 + 1\n1 + 1\n");
  const auto symbols = std::make_shared<SymbolTokenizer>("sum", std::vector<std::string>{"1", "2", "+", "<eos>"});
  const Corpus corpus = open_corpus(data(text, "", 0, "\n"), symbols, dir / "cache");
  EXPECT_EQ(corpus.train.size(), 12);
  EXPECT_EQ(text_of(corpus, corpus.train), "1+2 <eos> 2+1 <eos> 1+1 <eos>");
  PretrainStream stream(corpus.train, {.seq_len = 4, .batch_size = 2, .seed = 1});
  EXPECT_LE(stream.next().tokens.max().item<int64_t>(), 3);
}

std::string json_lines(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += nlohmann::json{{"text", text}}.dump() + "\n";
  return all;
}

std::vector<std::string> numbered(int begin, int end) {
  std::vector<std::string> texts;
  for (int i = begin; i < end; ++i) texts.push_back("text " + std::to_string(i));
  return texts;
}

// The documents of a range that is a whole store, without <eos>.
std::set<std::string> documents_of(const Corpus& corpus, const TokenRange& range) {
  EXPECT_EQ(range.begin, 0);
  EXPECT_EQ(range.end, range.source->size());
  const std::vector<int32_t> tokens = all_tokens(*range.source);
  const std::vector<int64_t>& begins = range.source->documents();
  std::set<std::string> texts;
  for (size_t i = 0; i < begins.size(); ++i) {
    const auto end = tokens.begin() + (i + 1 < begins.size() ? begins[i + 1] : range.end);
    texts.insert(corpus.tokenizer->decode({tokens.begin() + begins[i], end}));
  }
  return texts;
}

TEST(Corpus, HoldsOutDocumentsOfJsonLinesByTheirContent) {
  const TemporaryFolder dir;
  const auto open = [&](const std::vector<std::string>& texts) {
    return open_corpus(data(dir.write("text.jsonl", json_lines(texts)), "", 0.3), kind("byte"), dir / "cache");
  };
  const Corpus before = open(numbered(0, 100));
  const std::set<std::string> train = documents_of(before, before.train), val = documents_of(before, before.val);
  EXPECT_EQ(train.size() + val.size(), 100u);
  EXPECT_NEAR(static_cast<double>(val.size()), 30, 19);
  std::vector<std::string> more = numbered(900, 930);
  for (const std::string& text : numbered(0, 100)) more.push_back(text);
  const Corpus after = open(more);
  const std::set<std::string> train_after = documents_of(after, after.train),
                              val_after = documents_of(after, after.val);
  for (const std::string& text : train) EXPECT_TRUE(train_after.contains(text)) << text;
  for (const std::string& text : val) EXPECT_TRUE(val_after.contains(text)) << text;
}

TEST(Corpus, OfJsonLinesContinuesWithoutItsFile) {
  const TemporaryFolder dir;
  const auto file = dir.write("text.jsonl", json_lines(numbered(0, 50)) + "{}\n");
  configs::Data config = data(file, "", 0.3);
  config.max_bad_lines = 0.1;
  const Corpus before = open_corpus(config, kind("byte"), dir / "cache");
  ASSERT_EQ(before.notes.size(), 1u);
  EXPECT_NE(before.notes[0].find("1 of 51 lines"), std::string::npos) << before.notes[0];
  EXPECT_NE(read_file(dir / "cache/bad_lines.jsonl").find("\\\"text\\\" is missing"), std::string::npos);
  const CorpusOptions begun{.sources = before.sources, .unchanged = true};
  EXPECT_EQ(before.sources.size(), 2u) << "both stores are on record";
  dir.write("text.jsonl", json_lines(numbered(0, 49)));
  EXPECT_THROW(open_corpus(config, kind("byte"), dir / "cache", begun), ConfigError);
  std::filesystem::remove(file);
  const Corpus after = open_corpus(config, before.tokenizer, dir / "cache", begun);
  EXPECT_EQ(after.train.source->content_hash(), before.train.source->content_hash());
  EXPECT_EQ(after.val.source->content_hash(), before.val.source->content_hash());
  EXPECT_EQ(after.sources, before.sources);
  config.max_bad_lines = 0;
  EXPECT_THROW(open_corpus(config, before.tokenizer, dir / "cache", begun), DataError)
      << "the limit holds for stores, too";
  build_store({dir.write("text.jsonl", json_lines(numbered(0, 5)) + "{}\n")}, dir / "built.h5", ByteTokenizer(),
              {.max_bad_lines = 0.5});
  EXPECT_TRUE(open_corpus(data(dir / "built.h5"), kind("byte"), dir / "cache").notes.empty())
      << "whoever built the store has accepted its bad lines";
}

TEST(Corpus, CountsDocumentsInBothFiles) {
  const TemporaryFolder dir;
  const auto notes = [&](int begin) {
    const auto train = dir.write("train.jsonl", json_lines(numbered(0, 20)));
    return open_corpus(data(train, dir.write("val.jsonl", json_lines(numbered(begin, 24)))), kind("byte"),
                       dir / "cache")
        .notes;
  };
  ASSERT_EQ(notes(17).size(), 1u);
  EXPECT_NE(notes(17)[0].find("3 of the 7 documents of data.val are in data.train"), std::string::npos) << notes(17)[0];
  EXPECT_TRUE(notes(20).empty());
}

TEST(Corpus, CharactersOfJsonLinesAreThoseOfTheTexts) {
  const TemporaryFolder dir;
  const auto file = dir.write("text.jsonl", "{\"text\": \"ab\\u00e9\"}\nnothing\n{\"text\": \"b\", \"id\": \"xyz\"}\n");
  configs::Data config = data(file, "", 0);
  config.max_bad_lines = 0.5;
  const Corpus corpus = open_corpus(config, kind("char"), dir / "cache");
  EXPECT_EQ(corpus.tokenizer->vocab_size(), 3);
  EXPECT_EQ(text_of(corpus, corpus.train),
            "ab\xC3\xA9"
            "b");
}

TEST(Corpus, RefusesPackedFilesWithAdvice) {
  const TemporaryFolder dir;
  for (const char* name : {"x.parquet", "x.txt"}) {
    const std::string message =
        message_of<DataError>([&] { open_corpus(data(dir.write(name, "PAR1\x01\x02")), kind("byte"), dir / "cache"); });
    EXPECT_NE(message.find("Parquet"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace terse::data
