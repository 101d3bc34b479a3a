// Damages a store on disk. The damage must be detected or harmless. It must never cause a crash, or other tokens after
// verify().
#include "base/errors.h"
#include "data/store/build_store.h"
#include "data/store/token_store.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/char_tokenizer.h"
#include "tests/data/support.h"

// HDF5 leaks memory when it reads a damaged file. Only sanitized builds call this function.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libhdf5";
}

namespace terse::data {
namespace {

class DamagedStore : public ::testing::Test {
 protected:
  DamagedStore() {
    std::string text;
    std::mt19937_64 random(4);
    for (int i = 0; i < 6000; ++i)
      text += below(random, 50) == 0 ? "|" : std::string(1, static_cast<char>('a' + below(random, 26)));
    const auto file = dir_.write("text.txt", text);
    CharacterSet set;
    set.add("abcdefghijklmnopqrstuvwxyz");
    build_store({file}, path_, CharTokenizer(set.characters()), {.separator = "|"});
    bytes_ = read_file(path_);
    const auto store = TokenStore::open(path_);
    tokens_ = all_tokens(*store);
    documents_ = store->documents();
  }

  // Returns whether the damage was detected.
  bool check(const std::string& damaged, bool on_disk) {
    const auto path = dir_.write("damaged.h5", damaged);
    try {
      const auto store = TokenStore::open(path, {.max_in_memory_bytes = on_disk ? 0 : int64_t{1} << 30});
      store->verify();
      EXPECT_EQ(all_tokens(*store), tokens_);
      EXPECT_EQ(store->documents(), documents_);
      EXPECT_EQ(store->tokenizer()->vocab_size(), 26);
      return false;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find("damaged.h5: "), std::string::npos) << error.what();
      return true;
    }
  }

  TemporaryFolder dir_;
  std::filesystem::path path_ = dir_ / "store.h5";
  std::string bytes_;
  std::vector<int32_t> tokens_;
  std::vector<int64_t> documents_;
};

TEST_F(DamagedStore, AFlippedBitIsFoundOrHarmless) {
  int found = 0;
  for (size_t at = 0; at < bytes_.size(); at += at < 4096 ? 3 : 61) {
    std::string damaged = bytes_;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
    found += check(damaged, at % 2 == 0);
    ASSERT_FALSE(HasFailure()) << "byte " << at;
  }
  EXPECT_GT(found, 100);
}

TEST_F(DamagedStore, ACutOffFileIsFound) {
  for (size_t size = 0; size < bytes_.size(); size += 197) {
    EXPECT_TRUE(check(bytes_.substr(0, size), size % 2 == 0)) << size;
    ASSERT_FALSE(HasFailure()) << "cut at " << size;
  }
}

// Applies one to three random kinds of damage at random places.
std::string mutate(std::string bytes, std::mt19937_64& random) {
  for (int64_t times = 1 + below(random, 3); times > 0; --times) {
    const auto size = static_cast<int64_t>(bytes.size());
    if (size == 0) return bytes;
    const int64_t at = below(random, 2) == 0 ? below(random, size) : below(random, std::min<int64_t>(size, 4096));
    const int64_t length = 1 + below(random, std::min<int64_t>(size - at, 600));
    switch (below(random, 8)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(random, 8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        std::fill_n(bytes.begin() + at, length, '\0');
        break;
      case 3:
        std::fill_n(bytes.begin() + at, length, '\xFF');
        break;
      case 4:
        bytes.resize(at);
        break;
      case 5:
        bytes.erase(at, length);
        break;
      case 6:
        bytes.insert(at, bytes.substr(below(random, size), length));
        break;
      default:
        for (int64_t i = 0; i < length; ++i) bytes[at + i] = static_cast<char>(random());
    }
  }
  return bytes;
}

TEST_F(DamagedStore, AThousandRandomMutationsNeitherCrashNorDeceive) {
  std::mt19937_64 random(17);
  for (int round = 0; round < 1000; ++round) {
    check(mutate(bytes_, random), round % 2 == 0);
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
}

}  // namespace
}  // namespace terse::data
