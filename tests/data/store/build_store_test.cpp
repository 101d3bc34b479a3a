// Tests the documents and the content of built stores, and failures while one is built.
#include "data/store/build_store.h"

#include <sys/resource.h>

#include <csignal>

#include "base/errors.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/char_tokenizer.h"
#include "data/tokenizers/symbol_tokenizer.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

using Ids = std::vector<int32_t>;
using Names = std::vector<std::string>;

TEST(BuildStore, EndsDocumentsWithTheEndTokenWhenThereAreSeveral) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "ab|c||d|");
  build_store({text}, dir / "store.h5", ByteTokenizer(), {.separator = "|"});
  const auto store = TokenStore::open(dir / "store.h5");
  EXPECT_EQ(all_tokens(*store), (Ids{'a', 'b', 257, 'c', 257, 'd', 257}));
  EXPECT_EQ(store->documents(), (std::vector<int64_t>{0, 3, 5}));
  EXPECT_EQ(store->info().text_bytes, 4);
}

TEST(BuildStore, LeavesASingleDocumentAsItIs) {
  const TemporaryFolder dir;
  build_store({dir.write("text.txt", "ab|c")}, dir / "store.h5", ByteTokenizer());
  EXPECT_EQ(all_tokens(*TokenStore::open(dir / "store.h5")), (Ids{'a', 'b', '|', 'c'}));
}

TEST(BuildStore, EachOfSeveralFilesIsADocument) {
  const TemporaryFolder dir;
  build_store({dir.write("1.txt", "ab"), dir.write("2.txt", ""), dir.write("3.txt", "c")}, dir / "store.h5",
              ByteTokenizer());
  const auto store = TokenStore::open(dir / "store.h5");
  EXPECT_EQ(all_tokens(*store), (Ids{'a', 'b', 257, 'c', 257}));
  EXPECT_EQ(store->documents(), (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(store->info().sources, (Names{"1.txt", "2.txt", "3.txt"}));
}

TEST(BuildStore, WithoutAnEndTokenDocumentsJustMeet) {
  const TemporaryFolder dir;
  build_store({dir.write("text.txt", "ab|c")}, dir / "store.h5", CharTokenizer({'a', 'b', 'c'}), {.separator = "|"});
  const auto store = TokenStore::open(dir / "store.h5");
  EXPECT_EQ(all_tokens(*store), (Ids{0, 1, 2}));
  EXPECT_EQ(store->documents(), (std::vector<int64_t>{0, 2}));
}

TEST(BuildStore, ADocumentWithoutTokensDoesNotCount) {
  const TemporaryFolder dir;
  const SymbolTokenizer symbols("s", {"a", "<eos>"});
  build_store({dir.write("text.txt", " | a |\n|a a")}, dir / "store.h5", symbols, {.separator = "|"});
  EXPECT_EQ(all_tokens(*TokenStore::open(dir / "store.h5")), (Ids{0, 1, 0, 0, 1}));
}

// The text is larger than a block of the reader, so that characters and separators cross block borders.
TEST(BuildStore, AFileOfSeveralBlocksLosesNothing) {
  const TemporaryFolder dir;
  std::string text;
  for (int i = 0; text.size() < (size_t{9} << 20); ++i)
    text += "\xE2\x82\xAC" + std::string(i % 3, 'x') + (i % 50 == 49 ? "<sep>" : "");
  const auto file = dir.write("text.txt", text);
  const CharTokenizer tokenizer({0x20AC, 'x'});
  std::vector<int64_t> progress;
  build_store({file}, dir / "store.h5", tokenizer, {.separator = "<sep>", .progress = [&](int64_t done, int64_t total) {
                                                      progress.push_back(done);
                                                      EXPECT_EQ(total, static_cast<int64_t>(text.size()));
                                                    }});
  const auto store = TokenStore::open(dir / "store.h5");
  store->verify();
  std::string again = tokenizer.decode(all_tokens(*store));
  std::string expected;
  for (size_t begin = 0, at = 0; at != std::string::npos; begin = at + 5) {
    at = text.find("<sep>", begin);
    expected += text.substr(begin, at - begin);
  }
  EXPECT_TRUE(again == expected);
  EXPECT_GE(progress.size(), 3u);
  EXPECT_EQ(progress.back(), static_cast<int64_t>(text.size()));
}

TEST(BuildStore, TheSameTextGivesTheSameContent) {
  const TemporaryFolder dir;
  const auto hash = [&](const std::string& name, const std::string& text) {
    return build_store({dir.write(name, text)}, dir / (name + ".h5"), ByteTokenizer()).content_sha256;
  };
  EXPECT_EQ(hash("a", "text"), hash("b", "text"));
  EXPECT_NE(hash("c", "text"), hash("d", "texu"));
  EXPECT_EQ(hash("e", "x"), MemoryTokens({'x'}, {}, "byte").content_hash()) << "one byte";
}

TEST(BuildStore, AFailureLeavesNothingBehind) {
  const TemporaryFolder dir;
  const CharTokenizer tokenizer({'a', '\n'});
  const auto bad = dir.write("bad.txt", "aa\naab\n");
  const std::string message = message_of<DataError>([&] { build_store({bad}, dir / "store.h5", tokenizer); });
  EXPECT_NE(message.find("bad.txt:2: character 'b' (U+0062)"), std::string::npos) << message;
  EXPECT_NE(message.find("at byte 5 of the file"), std::string::npos) << message;
  EXPECT_THROW(build_store({dir / "absent.txt"}, dir / "store.h5", tokenizer), DataError);
  EXPECT_THROW(build_store({}, dir / "store.h5", tokenizer), DataError);
  EXPECT_NE(message_of<DataError>([&] {
              build_store({dir.write("empty.txt", "")}, dir / "store.h5", tokenizer);
            }).find("no text"),
            std::string::npos);
  EXPECT_THROW(build_store({bad}, dir / "store.h5", ByteTokenizer(), {.separator = "\xFF"}), DataError);
  EXPECT_EQ(dir.names(), (Names{"bad.txt", "empty.txt"}));
}

TEST(BuildStore, ReplacesOnlyWhenAsked) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "one");
  const auto output = dir.write("store.h5", "precious");
  EXPECT_THROW(build_store({text}, output, ByteTokenizer()), DataError);
  EXPECT_EQ(read_file(output), "precious");
  build_store({text}, output, ByteTokenizer(), {.overwrite = true});
  EXPECT_EQ(TokenStore::open(output)->size(), 3);
}

TEST(BuildStore, AFolderThatCannotBeWrittenIsADiskError) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "one");
  EXPECT_THROW(build_store({text}, text / "store.h5", ByteTokenizer()), DiskError);
}

// A file-size limit simulates a full disk. The process must also exit normally afterwards: HDF5's own clean-up at exit
// crashes when files were left unwritten.
TEST(BuildStoreDeathTest, AFullDiskAtAnyPointIsADiskErrorAndNoCrash) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", std::string(300000, 'x'));
  const StoreInfo whole = build_store({text}, dir / "whole.h5", ByteTokenizer());
  const Names before = dir.names();
  const auto build_below = [&](int64_t limit) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit bytes{static_cast<rlim_t>(limit), static_cast<rlim_t>(limit)};
    setrlimit(RLIMIT_FSIZE, &bytes);
    try {
      build_store({text}, dir / "store.h5", ByteTokenizer());
    } catch (const DiskError&) {
      std::exit(dir.names() == before ? 0 : 2);
    }
    std::exit(1);
  };
  for (int64_t limit = 0; limit < whole.file_bytes; limit += limit < 8192 ? 3999 : 262143) {
    EXPECT_EXIT(build_below(limit), ::testing::ExitedWithCode(0), "") << "limit " << limit;
  }
  EXPECT_EXIT(build_below(whole.file_bytes - 1), ::testing::ExitedWithCode(0), "");
}

TEST(BuildStore, EachLineOfJsonLinesIsADocument) {
  const TemporaryFolder dir;
  const auto lines = dir.write("lines.jsonl", "{\"text\": \"a|b\"}\n\n{\"text\": \"c\", \"id\": 1}\n");
  const auto text = dir.write("text.txt", "d|e");
  const StoreInfo info = build_store({lines, text}, dir / "store.h5", ByteTokenizer(), {.separator = "|"});
  const auto store = TokenStore::open(dir / "store.h5");
  store->verify();
  const int32_t eos = ByteTokenizer::kEos;
  EXPECT_EQ(all_tokens(*store), (Ids{'a', '|', 'b', eos, 'c', eos, 'd', eos, 'e', eos}));
  EXPECT_EQ(store->documents(), (std::vector<int64_t>{0, 4, 6, 8}));
  EXPECT_EQ(info.text_bytes, 6);
  EXPECT_EQ(info.lines, 2);
  EXPECT_EQ(info.bad_lines, 0);
  EXPECT_EQ(dir.names(), (std::vector<std::string>{"lines.jsonl", "store.h5", "text.txt"})) << "there are no bad lines";
}

TEST(BuildStore, BadLinesAreLeftOutUpToAShare) {
  const TemporaryFolder dir;
  const auto lines = dir.write("lines.jsonl", "{\"text\": \"ab\"}\n{\"text\": \"abc\"}\nnothing\n{\"text\": \"b\"}\n");
  const CharTokenizer tokenizer({'a', 'b'});
  const StoreInfo info = build_store({lines}, dir / "store.h5", tokenizer, {.max_bad_lines = 0.5});
  EXPECT_EQ(all_tokens(*TokenStore::open(dir / "store.h5")), (Ids{0, 1, 1}));
  EXPECT_EQ(info.lines, 4);
  EXPECT_EQ(info.bad_lines, 2);
  const std::string record = read_file(dir / "store.h5.bad_lines.jsonl");
  EXPECT_NE(record.find("\"line\":2"), std::string::npos) << record;
  EXPECT_NE(record.find("\"line\":3"), std::string::npos) << record;
  std::filesystem::remove(dir / "store.h5");
  const std::string message = message_of<DataError>(
      [&] { build_store({lines}, dir / "store.h5", tokenizer, {.max_bad_lines = 0.4, .bad_lines = dir / "bad"}); });
  EXPECT_NE(message.find("2 of 4 lines"), std::string::npos) << message;
  EXPECT_NE(message.find("line 3: not JSON"), std::string::npos) << message;
  EXPECT_EQ(read_file(dir / "bad"), record);
  EXPECT_FALSE(std::filesystem::exists(dir / "store.h5"));
  EXPECT_THROW(build_store({dir.write("x.jsonl", "PAR1")}, dir / "x.h5", tokenizer), DataError);
  EXPECT_THROW(build_store({dir.write("y.jsonl", "\n")}, dir / "y.h5", tokenizer), DataError) << "no document";
}

TEST(BuildStore, HeldOutDocumentsGoToAStoreOfTheirOwn) {
  const TemporaryFolder dir;
  std::string lines;
  for (int i = 0; i < 200; ++i) lines += "{\"text\": \"document " + std::to_string(i % 100) + "\"}\n";
  const BuildOptions options{.overwrite = true, .held_out_share = 0.25, .held_out = dir / "val.h5"};
  const StoreInfo info = build_store({dir.write("x.jsonl", lines)}, dir / "train.h5", ByteTokenizer(), options);
  const StoreInfo held_out = TokenStore::open(dir / "val.h5")->info();
  EXPECT_EQ(info.documents + held_out.documents, 200);
  EXPECT_NEAR(held_out.documents, 50, 36);
  EXPECT_EQ(held_out.documents % 2, 0) << "equal documents stay together";
  EXPECT_EQ(info.text_bytes + held_out.text_bytes, 2 * (10 * 10 + 90 * 11));
  const std::string before = held_out.content_sha256;
  build_store({dir.write("x.jsonl", lines + "{\"text\": \"document 5\"}\n")}, dir / "train.h5", ByteTokenizer(),
              options);
  EXPECT_LE(TokenStore::open(dir / "val.h5")->info().documents, held_out.documents + 1);
  const std::string none = message_of<DataError>([&] {
    build_store({dir.write("y.jsonl", "{\"text\": \"a\"}\n")}, dir / "train.h5", ByteTokenizer(),
                {.overwrite = true, .held_out_share = 1e-6, .held_out = dir / "val.h5"});
  });
  EXPECT_NE(none.find("too small"), std::string::npos) << none;
}

}  // namespace
}  // namespace terse::data
