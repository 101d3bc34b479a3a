// Tests stores that are made to deceive: each is a sound store in which one thing is replaced.
#include <fmt/format.h>
#include <hdf5.h>

#include <functional>

#include "base/errors.h"
#include "base/hdf5.h"
#include "data/store/build_store.h"
#include "data/store/store_writer.h"
#include "data/store/token_store.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/symbol_tokenizer.h"
#include "tests/data/support.h"

namespace terse::data {
namespace {

using Handle = Hdf5Handle;

// Builds a sound store of 40 documents with 1,000 tokens each, and edits it.
class HostileStore : public ::testing::Test {
 protected:
  HostileStore() {
    prepare_hdf5();
    std::string text;
    for (int i = 0; i < 40; ++i) text.append(999, static_cast<char>('a' + i % 26)).append(1, '|');
    build_store({dir_.write("text.txt", text)}, path_, ByteTokenizer(), {.separator = "|"});
    dir_.write("secret.bin", std::string(1 << 20, 'S'));
  }

  void edit(const std::function<void(hid_t file)>& change) {
    const Handle file(H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
    ASSERT_GE(file, 0);
    change(file);
  }
  // Replaces a dataset by another one. `prepare` sets the creation properties of the new one.
  void replace(const char* name, hid_t type, std::vector<hsize_t> dims,
               const std::function<void(hid_t layout)>& prepare, const void* content = nullptr) {
    edit([&](hid_t file) {
      H5Ldelete(file, name, H5P_DEFAULT);
      const Handle layout(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
      prepare(layout);
      // A chunked dataset gets an unlimited size, because HDF5 allows chunks larger than the dataset only then.
      const std::vector<hsize_t> unlimited(dims.size(), H5S_UNLIMITED);
      const hsize_t* most = H5Pget_layout(layout) == H5D_CHUNKED ? unlimited.data() : nullptr;
      const Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), most), H5Sclose);
      const Handle made(H5Dcreate2(file, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT), H5Dclose);
      ASSERT_GE(made, 0) << hdf5_error();
      if (content != nullptr) {
        ASSERT_GE(H5Dwrite(made, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, content), 0) << hdf5_error();
      }
    });
  }
  void replace_attribute(const char* name, hid_t type, const void* value) {
    edit([&](hid_t file) {
      H5Adelete(file, name);
      const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
      const Handle made(H5Acreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
      ASSERT_GE(H5Awrite(made, type, value), 0);
    });
  }
  void replace_text(const char* name, const std::string& value) {
    const Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(type, value.size());
    replace_attribute(name, type, value.data());
  }
  void expect_refused(const std::string& part) {
    for (const int64_t limit : {int64_t{0}, int64_t{1} << 30}) {
      const std::string message =
          message_of<DataError>([&] { TokenStore::open(path_, {.max_in_memory_bytes = limit}); });
      EXPECT_TRUE(message.starts_with(path_.string() + ": ")) << message;
      EXPECT_NE(message.find(part), std::string::npos) << message;
    }
  }

  static void chunked(hid_t layout) {
    const hsize_t chunk = 16384;
    H5Pset_chunk(layout, 1, &chunk);
  }
  static void sound(hid_t layout) {
    chunked(layout);
    H5Pset_fletcher32(layout);
  }

  TemporaryFolder dir_;
  std::filesystem::path path_ = dir_ / "store.h5";
};

TEST_F(HostileStore, IsSoundBeforeItIsEdited) {
  const auto store = TokenStore::open(path_);
  EXPECT_EQ(store->size(), 40000);
  EXPECT_EQ(store->documents().size(), 40u);
  EXPECT_NO_THROW(store->verify());
}

TEST_F(HostileStore, ExternalLink) {
  edit([](hid_t file) {
    H5Ldelete(file, "tokens", H5P_DEFAULT);
    H5Lcreate_external("other.h5", "/tokens", file, "tokens", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect_refused("'tokens' is an external link");
}

TEST_F(HostileStore, SoftLink) {
  edit([](hid_t file) {
    H5Lmove(file, "tokens", file, "hidden", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/hidden", file, "tokens", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect_refused("unknown object 'hidden'");
  edit([](hid_t file) {
    H5Ldelete(file, "hidden", H5P_DEFAULT);
    H5Ldelete(file, "tokens", H5P_DEFAULT);
    H5Lcreate_soft("/documents", file, "tokens", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect_refused("'tokens' is a soft link");
}

TEST_F(HostileStore, ExternalStorage) {
  const std::string secret = (dir_ / "secret.bin").string();
  replace("tokens", H5T_STD_U16LE, {40000}, [&](hid_t layout) { H5Pset_external(layout, secret.c_str(), 0, 80000); });
  expect_refused("dataset 'tokens' is not stored in chunks");
}

TEST_F(HostileStore, VirtualDataset) {
  replace("tokens", H5T_STD_U16LE, {40000}, [&](hid_t layout) {
    const hsize_t size = 40000;
    const Handle space(H5Screate_simple(1, &size, nullptr), H5Sclose);
    H5Pset_virtual(layout, space, "other.h5", "/tokens", space);
  });
  expect_refused("dataset 'tokens' is not stored in chunks");
}

TEST_F(HostileStore, ContiguousStorageHasNoChecksum) {
  const std::vector<uint16_t> zeros(40000);
  replace(
      "tokens", H5T_STD_U16LE, {40000}, [](hid_t) {}, zeros.data());
  expect_refused("dataset 'tokens' is not stored in chunks");
}

TEST_F(HostileStore, Filters) {
  const char* message = "dataset 'tokens' must have Fletcher32 as its only filter";
  replace("tokens", H5T_STD_U16LE, {40000}, chunked);
  expect_refused(message);
  replace("tokens", H5T_STD_U16LE, {40000}, [](hid_t layout) {
    chunked(layout);
    H5Pset_deflate(layout, 9);
  });
  expect_refused(message);
  replace("tokens", H5T_STD_U16LE, {40000}, [](hid_t layout) {
    sound(layout);
    H5Pset_shuffle(layout);
  });
  expect_refused(message);
  replace("tokens", H5T_STD_U16LE, {40000}, [](hid_t layout) {
    chunked(layout);
    H5Pset_filter(layout, 32015, H5Z_FLAG_OPTIONAL, 0, nullptr);  // a plug-in
  });
  expect_refused(message);
}

TEST_F(HostileStore, ElementTypes) {
  for (const hid_t type : {H5T_STD_I16LE, H5T_STD_U16BE, H5T_STD_U64LE, H5T_IEEE_F32LE, H5T_C_S1}) {
    replace("tokens", type, {40000}, sound);
    expect_refused("dataset 'tokens' has the wrong element type");
  }
  replace("tokens", H5T_STD_U16LE, {200, 200}, [](hid_t layout) {
    const hsize_t chunk[2] = {100, 100};
    H5Pset_chunk(layout, 2, chunk);
    H5Pset_fletcher32(layout);
  });
  expect_refused("dataset 'tokens' is not one-dimensional");
  replace("documents", H5T_STD_I32LE, {40}, sound);
  expect_refused("dataset 'tokens' is not one-dimensional");
}

TEST_F(HostileStore, WidthMustFitTheVocabulary) {
  const std::vector<uint8_t> bytes(40000, 'a');
  replace("tokens", H5T_STD_U8LE, {40000}, sound, bytes.data());
  expect_refused("has 1 bytes per token, but a vocabulary of 258 needs 2");
}

// The declared size must be refused before memory is allocated for it.
TEST_F(HostileStore, SizeBomb) {
  for (const hsize_t size : {hsize_t{1} << 42, hsize_t{1} << 62, (hsize_t{1} << 63) - 1}) {
    for (const char* name : {"tokens", "documents", "tokenizer"}) {
      SCOPED_TRACE(name);
      const std::string copy = read_file(path_);
      const hid_t type = name[0] == 'd' ? H5T_STD_I64LE : name == std::string("tokens") ? H5T_STD_U16LE : H5T_STD_U8LE;
      replace(name, type, {size}, sound);
      expect_refused(fmt::format("dataset '{}' declares", name));
      dir_.write("store.h5", copy);
    }
  }
}

TEST_F(HostileStore, HugeChunks) {
  const std::vector<uint16_t> zeros(40000);
  replace("tokens", H5T_STD_U16LE, {40000}, [](hid_t layout) {
    const hsize_t chunk = 1 << 30;
    H5Pset_chunk(layout, 1, &chunk);
    H5Pset_fletcher32(layout);
  });
  expect_refused("has chunks of 1073741824 elements");
}

// HDF5 reads an absent chunk as zeros (token 0), without any error.
TEST_F(HostileStore, AbsentChunks) {
  replace("tokens", H5T_STD_U16LE, {30000}, sound);
  expect_refused("dataset 'tokens' has 0 bytes of chunks");
}

TEST_F(HostileStore, MissingParts) {
  const std::string copy = read_file(path_);
  for (const char* name :
       {"format_version", "tokenizer_id", "content_sha256", "sources", "separator", "text_bytes", "created_by"}) {
    edit([&](hid_t file) { H5Adelete(file, name); });
    expect_refused(fmt::format("attribute '{}' is missing", name));
    dir_.write("store.h5", copy);
  }
  for (const char* name : {"tokens", "documents", "tokenizer"}) {
    edit([&](hid_t file) { H5Ldelete(file, name, H5P_DEFAULT); });
    expect_refused(fmt::format("dataset '{}' is missing", name));
    edit([&](hid_t file) { Handle(H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose); });
    expect_refused(fmt::format("dataset '{}' cannot be opened", name));
    dir_.write("store.h5", copy);
  }
}

TEST_F(HostileStore, Attributes) {
  const std::string copy = read_file(path_);
  const int64_t version = 2;
  replace_attribute("format_version", H5T_STD_I64LE, &version);
  expect_refused("the format version is 2, this program reads 1");
  replace_attribute("format_version", H5T_STD_I32LE, &version);
  expect_refused("attribute 'format_version' is not a 64-bit integer");
  dir_.write("store.h5", copy);

  const int64_t negative = -1;
  replace_attribute("text_bytes", H5T_STD_I64LE, &negative);
  expect_refused("attribute 'text_bytes' is -1");
  dir_.write("store.h5", copy);

  replace_text("separator", "no JSON");
  expect_refused("'separator' or 'sources'");
  replace_text("separator", "[3]");
  expect_refused("'separator' or 'sources'");
  dir_.write("store.h5", copy);

  const Handle variable(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(variable, H5T_VARIABLE);
  const char* text = "byte";
  replace_attribute("tokenizer_id", variable, &text);
  expect_refused("attribute 'tokenizer_id' is not a string of fixed length");
  replace_attribute("tokenizer_id", H5T_STD_I64LE, &version);
  expect_refused("attribute 'tokenizer_id' is not a string of fixed length");
  replace_text("tokenizer_id", "char:0123456789abcdef");
  expect_refused("attribute 'tokenizer_id' is char:0123456789abcdef, but dataset 'tokenizer' defines byte");
}

TEST_F(HostileStore, TokenizerDefinition) {
  const std::string definition = "{\"format\":\"terse-tokenizer\",\"version\":1,\"kind\":\"python\"}";
  replace("tokenizer", H5T_STD_U8LE, {definition.size()}, sound, definition.data());
  expect_refused("dataset 'tokenizer': not a tokenizer: its kind is \"python\"");
}

TEST_F(HostileStore, DocumentOffsets) {
  for (const std::vector<int64_t>& documents :
       {std::vector<int64_t>{1, 5}, {0, 5, 5}, {0, 9, 5}, {0, 40000}, {0, int64_t{1} << 60}, {0, -1}}) {
    replace("documents", H5T_STD_I64LE, {documents.size()}, sound, documents.data());
    expect_refused("dataset 'documents': ");
  }
}

TEST_F(HostileStore, TokensOutsideTheVocabularyNeverLeaveTheStore) {
  std::vector<uint16_t> tokens(40000, 'a');
  tokens[30001] = 258;
  tokens[30002] = 65535;
  replace("tokens", H5T_STD_U16LE, {40000}, sound, tokens.data());
  for (const int64_t limit : {int64_t{0}, int64_t{1} << 30}) {
    const auto store = TokenStore::open(path_, {.max_in_memory_bytes = limit});
    const std::string message = message_of<DataError>([&] { all_tokens(*store); });
    EXPECT_NE(message.find("dataset 'tokens': token 30001 has id 258, but the vocabulary has 258 tokens"),
              std::string::npos)
        << message;
    EXPECT_THROW(store->verify(), DataError);
  }
}

TEST_F(HostileStore, OtherContentFailsVerification) {
  const std::string good = TokenStore::open(path_)->content_hash();
  const std::vector<uint16_t> tokens(40000, 'a');
  replace("tokens", H5T_STD_U16LE, {40000}, sound, tokens.data());
  const auto store = TokenStore::open(path_);
  const std::string message = message_of<DataError>([&] { store->verify(); });
  EXPECT_NE(message.find("'content_sha256' is " + good), std::string::npos) << message;
  std::vector<int64_t> starts;
  for (int64_t i = 0; i < 40; ++i) starts.push_back(i * 999);
  EXPECT_NE(message.find(MemoryTokens(std::vector<int32_t>(40000, 'a'), store->documents(), "byte").content_hash()),
            std::string::npos)
      << message;
}

// The same for a store of conversations.
class HostileConversations : public HostileStore {
 protected:
  HostileConversations() {
    const ByteTokenizer tokenizer;
    StoreWriter writer(path_, tokenizer, StoreContent::kConversations);
    for (int i = 0; i < 5; ++i) writer.add_conversation(std::vector<int32_t>(8, i), std::vector<bool>(8, i > 2), 7);
    writer.finish({.sources = {}, .separator = "", .text_bytes = 0, .lines = 6, .bad_lines = 1});
  }
  std::shared_ptr<const TokenStore> open(int64_t limit = 1 << 20) const {
    return TokenStore::open(path_, {.content = StoreContent::kConversations, .max_in_memory_bytes = limit});
  }
  void expect_failure(const std::string& part) {
    for (const int64_t limit : {0, 1 << 20}) {
      const std::string message = message_of<DataError>([&] { open(limit)->verify(); });
      EXPECT_TRUE(message.starts_with(path_.string() + ": ")) << message;
      EXPECT_NE(message.find(part), std::string::npos) << message;
    }
  }
};

TEST_F(HostileConversations, AreSoundBeforeTheyAreEdited) {
  EXPECT_NO_THROW(open()->verify());
}

TEST_F(HostileConversations, MarksForOtherTokens) {
  replace("learned", H5T_STD_U8LE, {39}, sound, std::vector<uint8_t>(39).data());
  expect_failure("dataset 'learned' has 39 marks for 40 tokens");
}

TEST_F(HostileConversations, MarksOfAnotherType) {
  replace("learned", H5T_STD_U16LE, {40}, sound, std::vector<uint16_t>(40).data());
  expect_failure("dataset 'learned' has the wrong element type");
}

TEST_F(HostileConversations, MarksThatAreNone) {
  std::vector<uint8_t> marks(40);
  marks[11] = 2;
  replace("learned", H5T_STD_U8LE, {40}, sound, marks.data());
  expect_failure("the mark of token 11 is 2, expected 0 or 1");
}

TEST_F(HostileConversations, OtherMarksAndKeysDoNotFitTheHash) {
  replace("learned", H5T_STD_U8LE, {40}, sound, std::vector<uint8_t>(40).data());
  expect_failure("the SHA-256 of its content");
  std::vector<uint8_t> marks(40);
  std::fill(marks.begin() + 24, marks.end(), uint8_t{1});
  replace("learned", H5T_STD_U8LE, {40}, sound, marks.data());
  EXPECT_NO_THROW(open()->verify()) << "these are the marks that it had";
  replace("keys", H5T_STD_U64LE, {5}, sound, std::vector<uint64_t>(5).data());
  expect_failure("the SHA-256 of its content");
}

TEST_F(HostileConversations, KeysOfOthers) {
  replace("keys", H5T_STD_U64LE, {4}, sound, std::vector<uint64_t>(4).data());
  expect_failure("dataset 'keys' has 4 keys for 5 conversations");
}

TEST_F(HostileConversations, MoreBadLinesThanLines) {
  const int64_t bad = 7;
  replace_attribute("bad_lines", H5T_STD_I64LE, &bad);
  expect_failure("attribute 'bad_lines' is 7 of 6 lines");
}

}  // namespace
}  // namespace terse::data
