// Tests how tokenizers are saved, loaded, parsed, trained and selected by a config.
#include "data/tokenizers/tokenizer_factory.h"

#include "base/errors.h"
#include "configs/load.h"
#include "data/store/build_store.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/char_tokenizer.h"
#include "data/tokenizers/symbol_tokenizer.h"
#include "tests/data/tokenizers/fixtures.h"

namespace terse::data {
namespace {

configs::Tokenizer config(const std::string& kind, const std::string& path = "") {
  configs::Tokenizer result;
  result.kind = kind;
  result.path = path;
  return result;
}

TEST(TokenizerFactory, SavedTokenizersComeBack) {
  const TemporaryFolder dir;
  for (const std::shared_ptr<const Tokenizer>& tokenizer : std::vector<std::shared_ptr<const Tokenizer>>{
           std::make_shared<ByteTokenizer>(), std::make_shared<CharTokenizer>(std::vector<char32_t>{'a', 0x1F600}),
           std::make_shared<SymbolTokenizer>("s", std::vector<std::string>{"a", "<eos>"})}) {
    save_tokenizer(dir / "deep/tokenizer.json", *tokenizer);
    EXPECT_EQ(load_tokenizer(dir / "deep/tokenizer.json")->id(), tokenizer->id());
    EXPECT_EQ(load_tokenizer(dir / "deep")->id(), tokenizer->id()) << "as a folder that a model was exported to";
  }
  EXPECT_EQ(dir.names(), std::vector<std::string>{"deep"});
}

TEST(TokenizerFactory, RefusesFilesThatAreNotTokenizers) {
  const TemporaryFolder dir;
  const std::string head = R"({"format":"terse-tokenizer","version":1,"kind":)";
  const std::vector<std::string> bad = {"",
                                        "{}",
                                        "[]",
                                        "null",
                                        "\xFF",
                                        R"({"format":3})",
                                        R"({"format":"other"})",
                                        R"({"format":"terse-tokenizer","version":2,"kind":"byte"})",
                                        head + R"("bpe"})",
                                        head + "7}",
                                        head + R"("char"})",
                                        head + R"("char","characters":[]})",
                                        head + R"("char","characters":["ab"]})",
                                        head + R"("char","characters":[""]})",
                                        head + R"("char","characters":["b","a"]})",
                                        head + R"("char","characters":[1]})",
                                        head + R"("char","characters":["a","a"]})",
                                        head + R"("symbol","name":"x"})",
                                        head + R"("symbol","name":"x","symbols":["a","a"]})",
                                        head + R"("symbol","name":"x","symbols":[]})",
                                        std::string(200000, '[')};
  for (const std::string& text : bad) {
    const auto path = dir.write("bad.json", text);
    const std::string message = message_of<DataError>([&] { load_tokenizer(path); });
    EXPECT_NE(message.find(path.string()), std::string::npos) << message;
  }
  EXPECT_THROW(load_tokenizer(dir / "absent.json"), DataError);
  EXPECT_THROW(load_tokenizer(dir.path()), DataError);
}

TEST(TokenizerFactory, ADamagedDefinitionIsRefusedOrAnotherTokenizer) {
  std::mt19937_64 random(8);
  const std::string definition = SymbolTokenizer("s", {"a", "b", "<eos>", "\xC3\xA9"}).definition();
  for (int round = 0; round < 1000; ++round) {
    std::string damaged = definition;
    for (int64_t times = below(random, 3); times >= 0; --times) {
      const int64_t at = below(random, static_cast<int64_t>(damaged.size()));
      if (below(random, 4) == 0) {
        damaged.erase(at, 1 + below(random, 8));
      } else {
        damaged[at] = static_cast<char>(below(random, 2) == 0 ? random() : damaged[at] ^ (1 << below(random, 7)));
      }
    }
    try {
      const auto tokenizer = parse_tokenizer(damaged, "test");
      EXPECT_EQ(parse_tokenizer(tokenizer->definition(), "test")->id(), tokenizer->id());
    } catch (const DataError&) {
    }
  }
}

TEST(TokenizerFactory, MakesWhatTheConfigAsksFor) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "hello");
  EXPECT_EQ(make_tokenizer(config("auto"))->id(), "byte");
  EXPECT_EQ(make_tokenizer(config("byte"), text)->id(), "byte");
  EXPECT_EQ(make_tokenizer(config("char"), text)->vocab_size(), 4);
  save_tokenizer(dir / "abc.json", CharTokenizer({'a', 'b', 'c'}));
  EXPECT_EQ(make_tokenizer(config("char", dir / "abc.json"), text)->id(), CharTokenizer({'a', 'b', 'c'}).id());
}

TEST(TokenizerFactory, TakesBpeFromAFileAFolderOrATokenStore) {
  const TemporaryFolder dir;
  const auto tokenizer = fixture("smollm");
  const std::filesystem::path file = dir / "model/tokenizer.json";
  save_tokenizer(file, *tokenizer);
  EXPECT_EQ(make_tokenizer(config("bpe", file))->id(), tokenizer->id());
  EXPECT_EQ(make_tokenizer(config("bpe", dir / "model"))->id(), tokenizer->id());
  const auto text = dir.write("text.txt", "hello <|im_end|> world");
  build_store({text}, dir / "text.h5", *tokenizer);
  const auto kept = make_tokenizer(config("bpe"), dir / "text.h5");
  EXPECT_EQ(kept->id(), tokenizer->id());
  EXPECT_EQ(make_tokenizer(config("auto"), dir / "text.h5")->definition(), tokenizer->definition());
}

TEST(TokenizerFactory, TakesTheTokenizerOutOfATokenStore) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "hello");
  const auto tokenizer = train_char_tokenizer({text});
  build_store({text}, dir / "text.h5", *tokenizer);
  EXPECT_EQ(make_tokenizer(config("auto"), dir / "text.h5")->id(), tokenizer->id());
  EXPECT_EQ(make_tokenizer(config("char"), dir / "text.h5")->id(), tokenizer->id());
  build_store({text}, dir / "bytes.h5", ByteTokenizer());
  const std::string message = message_of<ConfigError>([&] { make_tokenizer(config("char"), dir / "bytes.h5"); });
  EXPECT_NE(message.find("is byte"), std::string::npos) << message;
}

TEST(TokenizerFactory, SaysWhichKeyOfTheConfigIsWrong) {
  const TemporaryFolder dir;
  save_tokenizer(dir / "byte.json", ByteTokenizer());
  const auto error = [](auto... arguments) { return message_of<ConfigError>([&] { make_tokenizer(arguments...); }); };
  EXPECT_NE(error(config("wordpiece")).find("\"wordpiece\""), std::string::npos);
  EXPECT_NE(error(config("bpe")).find("tokenizer.path is empty"), std::string::npos);
  EXPECT_NE(error(config("bpe", dir / "absent")).find("absent"), std::string::npos);
  EXPECT_NE(error(config("bpe", dir / "byte.json")).find("is byte"), std::string::npos);
  EXPECT_NE(error(config("char", fixture_path("gpt2.tokenizer.json"))).find("is bpe:"), std::string::npos);
  EXPECT_NE(error(config("char")).find("tokenizer.path"), std::string::npos);
  EXPECT_NE(error(config("char", dir / "absent.json")).find("absent.json"), std::string::npos);
  EXPECT_NE(error(config("char", dir / "byte.json")).find("is byte"), std::string::npos);
  EXPECT_NE(error(config("auto"), std::filesystem::path("/absent.txt")).find("data.train"), std::string::npos);
}

TEST(TokenizerFactory, TrainsOnAllFilesWithoutTheSeparator) {
  const TemporaryFolder dir;
  const auto one = dir.write("one.txt", "ab<|end|>ba");
  const auto two = dir.write("two.txt", "c\xC3\xA9");
  EXPECT_EQ(train_char_tokenizer({one, two}, "<|end|>")->id(), CharTokenizer({'a', 'b', 'c', 0xE9}).id());
  EXPECT_EQ(train_char_tokenizer({one})->vocab_size(), 8);
  EXPECT_THROW(train_char_tokenizer({}), DataError);
  EXPECT_THROW(train_char_tokenizer({dir.write("empty.txt", "")}), DataError);
  const std::string message = message_of<DataError>([&] {
    train_char_tokenizer({one, dir.write("bad.txt", "ok\nab\xFFz")});
  });
  EXPECT_NE(message.find("bad.txt:2: invalid UTF-8 (byte 0xFF) at byte 5 of the file"), std::string::npos) << message;
}

}  // namespace
}  // namespace terse::data
