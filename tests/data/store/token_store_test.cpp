// Tests that a store returns what was stored, in memory and from disk, and describes itself.
#include "data/store/token_store.h"

#include <atomic>
#include <limits>
#include <thread>

#include "base/errors.h"
#include "base/hdf5.h"
#include "data/store/build_store.h"
#include "data/store/store_writer.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/char_tokenizer.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

constexpr StoreOptions kOnDisk{.max_in_memory_bytes = 0};

std::string random_text(int64_t size) {
  std::mt19937_64 random(9);
  std::string text;
  for (int64_t i = 0; i < size; ++i) text += static_cast<char>(below(random, 256));
  return text;
}

CharTokenizer large_vocabulary(int64_t size) {
  std::vector<char32_t> characters;
  for (char32_t c = 0xE000; static_cast<int64_t>(characters.size()) < size; ++c) characters.push_back(c);
  return CharTokenizer(characters);
}

TEST(TokenStore, GivesBackWhatWasStored) {
  const TemporaryFolder dir;
  const std::string text = random_text(100000);  // several chunks
  build_store({dir.write("text.bin", text)}, dir / "store.h5", ByteTokenizer());
  for (const StoreOptions& options : {StoreOptions{}, kOnDisk}) {
    const auto store = TokenStore::open(dir / "store.h5", options);
    EXPECT_EQ(all_tokens(*store), ByteTokenizer().encode(text));
    EXPECT_EQ(store->documents(), std::vector<int64_t>{0});
    EXPECT_EQ(store->tokenizer()->id(), "byte");
    EXPECT_NO_THROW(store->verify());
    EXPECT_EQ(store->content_hash(), MemoryTokens(ByteTokenizer().encode(text), {}, "byte").content_hash());
  }
}

// The texts fill their attributes and have no end mark. Other programs would drop the last character of a text that
// claimed to have one.
TEST(TokenStore, ItsTextsClaimNoEndMark) {
  const TemporaryFolder dir;
  build_store({dir.write("text.bin", "some text")}, dir / "store.h5", ByteTokenizer());
  const Hdf5Handle file(H5Fopen((dir / "store.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  H5O_info_t info;
  ASSERT_GE(H5Oget_info2(file, &info, H5O_INFO_NUM_ATTRS), 0);
  int64_t texts = 0;
  for (hsize_t i = 0; i < info.num_attrs; ++i) {
    const Hdf5Handle attribute(H5Aopen_by_idx(file, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT),
                               H5Aclose);
    const Hdf5Handle type(H5Aget_type(attribute), H5Tclose);
    if (H5Tget_class(type) != H5T_STRING) continue;
    ++texts;
    EXPECT_EQ(H5Tget_strpad(type), H5T_STR_NULLPAD) << i;
    EXPECT_EQ(H5Tget_cset(type), H5T_CSET_UTF8) << i;
  }
  EXPECT_GT(texts, 0);
}

TEST(TokenStore, ReadsAnyPart) {
  const TemporaryFolder dir;
  const std::string text = random_text(70000);
  build_store({dir.write("text.bin", text)}, dir / "store.h5", ByteTokenizer());
  const std::vector<int32_t> all = ByteTokenizer().encode(text);
  std::mt19937_64 random(2);
  for (const StoreOptions& options : {StoreOptions{}, kOnDisk}) {
    const auto store = TokenStore::open(dir / "store.h5", options);
    for (int i = 0; i < 300; ++i) {
      const int64_t begin = below(random, 70001);
      std::vector<int32_t> part(below(random, std::min<int64_t>(70001 - begin, 40000)));
      store->read(begin, part);
      ASSERT_TRUE(std::equal(part.begin(), part.end(), all.begin() + begin));
    }
    std::vector<int32_t> two(2);
    EXPECT_THROW(store->read(69999, two), std::out_of_range);
    EXPECT_THROW(store->read(-1, two), std::out_of_range);
    EXPECT_THROW(store->read(std::numeric_limits<int64_t>::max(), two), std::out_of_range);
  }
}

TEST(TokenStore, UsesTheNarrowestTypeThatHoldsTheVocabulary) {
  const TemporaryFolder dir;
  for (const auto& [size, width] :
       std::vector<std::pair<int64_t, int64_t>>{{256, 1}, {257, 2}, {65536, 2}, {65537, 4}}) {
    const CharTokenizer tokenizer = large_vocabulary(size);
    const std::vector<int32_t> ids = {0, static_cast<int32_t>(size) - 1, 7, 0};
    const auto text = dir.write("text.txt", tokenizer.decode(ids));
    const StoreInfo info = build_store({text}, dir / "store.h5", tokenizer, {.overwrite = true});
    EXPECT_EQ(info.token_bytes, width);
    EXPECT_EQ(info.vocab_size, size);
    for (const StoreOptions& options : {StoreOptions{}, kOnDisk}) {
      const auto store = TokenStore::open(dir / "store.h5", options);
      EXPECT_EQ(all_tokens(*store), ids);
      EXPECT_NO_THROW(store->verify());
    }
  }
}

TEST(TokenStore, DescribesItself) {
  const TemporaryFolder dir;
  const auto text = dir.write("text.txt", "one\n\nthree\n\nab");
  build_store({text}, dir / "store.h5", ByteTokenizer(), {.separator = "\n\n"});
  const StoreInfo info = describe_store(dir / "store.h5");
  EXPECT_EQ(info.tokens, 13);
  EXPECT_EQ(info.documents, 3);
  EXPECT_EQ(info.longest_document, 6);
  EXPECT_EQ(info.shortest_document, 3);
  EXPECT_EQ(info.text_bytes, 10);
  EXPECT_EQ(info.separator, "\n\n");
  EXPECT_EQ(info.sources, std::vector<std::string>{"text.txt"});
  EXPECT_EQ(info.format_version, 1);
  EXPECT_TRUE(info.created_by.starts_with("terse "));
  const std::string words = to_text(info);
  for (const std::string part : {"13 (2 bytes each)", "3 (3 to 6 tokens)", "0.769 per token",
                                 "byte (vocabulary of 258)", "\"\\n\\n\"", "text.txt"}) {
    EXPECT_NE(words.find(part), std::string::npos) << part << " in\n" << words;
  }
}

TEST(TokenStore, ManyThreadsMayRead) {
  const TemporaryFolder dir;
  const std::string text = random_text(200000);
  build_store({dir.write("text.bin", text)}, dir / "store.h5", ByteTokenizer());
  const std::vector<int32_t> all = ByteTokenizer().encode(text);
  const auto store = TokenStore::open(dir / "store.h5", kOnDisk);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      std::vector<int32_t> part(1000);
      for (int i = 0; i < 100; ++i) {
        const int64_t begin = below(random, 199000);
        store->read(begin, part);
        if (!std::equal(part.begin(), part.end(), all.begin() + begin)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(TokenStore, RefusesFilesThatAreNoStore) {
  const TemporaryFolder dir;
  for (const std::string content :
       {"", "x", "hello", "\x89HDF\r\n\x1a\n", "\x89HDF\r\n\x1a\n and more of it, but no HDF5"}) {
    const auto path = dir.write("file", content);
    const std::string message = message_of<DataError>([&] { TokenStore::open(path); });
    EXPECT_TRUE(message.starts_with(path.string() + ": ")) << message;
  }
  EXPECT_THROW(TokenStore::open(dir / "absent"), DataError);
  EXPECT_THROW(TokenStore::open(dir.path()), DataError);
  EXPECT_THROW(describe_store(dir / "absent"), DataError);
}

TEST(TokenStore, OfConversationsHasMarksAndKeys) {
  const TemporaryFolder dir;
  const ByteTokenizer tokenizer;
  const auto write = [&](const std::string& name, const std::vector<bool>& learned, uint64_t key) {
    StoreWriter writer(dir / name, tokenizer, StoreContent::kConversations);
    writer.add_conversation(std::vector<int32_t>{1, 2, 3}, learned, key);
    writer.add_conversation(std::vector<int32_t>{4}, {false}, 6);
    EXPECT_THROW(writer.add_conversation(std::vector<int32_t>{4, 5}, {true}, 6), std::invalid_argument);
    EXPECT_THROW(writer.add_conversation({}, {}, 6), std::invalid_argument);
    writer.finish({.sources = {"file"}, .separator = "", .text_bytes = 9, .lines = 5, .bad_lines = 3});
    return dir / name;
  };
  const auto path = write("a.h5", {false, true, true}, ~uint64_t{0});
  for (const int64_t limit : {int64_t{0}, int64_t{1} << 20}) {
    const auto store = TokenStore::open(path, {.content = StoreContent::kConversations, .max_in_memory_bytes = limit});
    store->verify();
    EXPECT_EQ(all_tokens(*store), (std::vector<int32_t>{1, 2, 3, 4}));
    EXPECT_EQ(store->documents(), (std::vector<int64_t>{0, 3}));
    EXPECT_EQ(store->keys(), (std::vector<uint64_t>{~uint64_t{0}, 6}));
    std::vector<uint8_t> learned(2);
    store->read_learned(1, learned);
    EXPECT_EQ(learned, (std::vector<uint8_t>{1, 1}));
    store->read_learned(2, learned);
    EXPECT_EQ(learned, (std::vector<uint8_t>{1, 0}));
    EXPECT_THROW(store->read_learned(3, learned), std::out_of_range);
    EXPECT_EQ(store->info().lines, 5);
    EXPECT_EQ(store->info().bad_lines, 3);
    EXPECT_NE(to_text(store->info()).find("5 (3 bad ones left out)"), std::string::npos);
  }
  const auto hash = [&](const std::filesystem::path& file) {
    return TokenStore::open(file, {.content = StoreContent::kConversations})->content_hash();
  };
  EXPECT_NE(hash(path), hash(write("b.h5", {false, false, true}, ~uint64_t{0}))) << "the marks count";
  EXPECT_NE(hash(path), hash(write("c.h5", {false, true, true}, 5))) << "the keys count";
  EXPECT_EQ(hash(path), hash(write("d.h5", {false, true, true}, ~uint64_t{0})));
}

TEST(TokenStore, DocumentsAndConversationsAreNotMixedUp) {
  const TemporaryFolder dir;
  const ByteTokenizer tokenizer;
  build_store({dir.write("text.txt", "abc")}, dir / "documents.h5", tokenizer);
  StoreWriter writer(dir / "conversations.h5", tokenizer, StoreContent::kConversations);
  writer.add_conversation(std::vector<int32_t>{1, 2}, {false, true}, 3);
  writer.finish({});
  EXPECT_THROW(TokenStore::open(dir / "conversations.h5"), DataError);
  EXPECT_THROW(TokenStore::open(dir / "documents.h5", {.content = StoreContent::kConversations}), DataError);
  const auto documents = TokenStore::open(dir / "documents.h5");
  std::vector<uint8_t> learned(1);
  EXPECT_THROW(documents->read_learned(0, learned), std::logic_error);
  EXPECT_THROW(documents->keys(), std::logic_error);
  StoreWriter other(dir / "other.h5", tokenizer);
  EXPECT_THROW(other.add_conversation(std::vector<int32_t>{1, 2}, {false, true}, 3), std::invalid_argument);
}

}  // namespace
}  // namespace terse::data
