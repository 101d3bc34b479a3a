// Tests that tokenizers and chat templates are found in models of each kind.
#include "trainer/saved_model/model_vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/errors.h"
#include "base/formats/gguf/writer.h"
#include "tests/support/temporary_folder.h"

namespace terse::trainer {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

void write(const fs::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

constexpr const char* kTokenizer = R"({
  "added_tokens": [{"id": 3, "content": "<end>", "special": true, "normalized": false}],
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
  "decoder": {"type": "ByteLevel"},
  "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})";

// A folder of Hugging Face with the tiny Llama of this folder's fixtures.
class Folder {
 public:
  Folder() {
    const fs::path fixture = fs::path(TERSE_SOURCE_DIR) / "tests/trainer/saved_model/fixtures/llama";
    for (const char* name : {"config.json", "model.safetensors"}) fs::copy_file(fixture / name, path() / name);
  }
  const fs::path& path() const { return folder_.path(); }

 private:
  support::TemporaryFolder folder_;
};

TEST(ModelVocabulary, AFolderMayHaveNeither) {
  const Folder folder;
  const ModelVocabulary found = load_model_vocabulary(folder.path());
  EXPECT_EQ(found.tokenizer, nullptr);
  EXPECT_EQ(found.chat_template, "");
}

TEST(ModelVocabulary, AFolderHasTokenizerAndTemplateInFiles) {
  const Folder folder;
  write(folder.path() / "tokenizer.json", kTokenizer);
  write(folder.path() / "tokenizer_config.json", R"({"eos_token": "<end>", "chat_template": "old"})");
  fs::remove(folder.path() / "config.json");
  fs::copy_file(fs::path(TERSE_SOURCE_DIR) / "tests/trainer/saved_model/fixtures/llama/config.json",
                folder.path() / "config.json");
  write(folder.path() / "generation_config.json", R"({"eos_token_id": 3})");
  ModelVocabulary found = load_model_vocabulary(folder.path());
  ASSERT_NE(found.tokenizer, nullptr);
  EXPECT_EQ(found.tokenizer->encode("abb"), (std::vector<int32_t>{2, 1}));
  EXPECT_EQ(found.tokenizer->eos(), 3);
  EXPECT_EQ(found.chat_template, "old");
  write(folder.path() / "chat_template.jinja", "new");
  EXPECT_EQ(load_model_vocabulary(folder.path()).chat_template, "new") << "the file of its own comes first";
}

TEST(ModelVocabulary, OfSeveralTemplatesTheDefaultCounts) {
  const Folder folder;
  const fs::path config = folder.path() / "tokenizer_config.json";
  write(config, R"({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})");
  EXPECT_EQ(load_model_vocabulary(folder.path()).chat_template, "d");
  write(config, R"({"chat_template": [{"name": "tool_use", "template": "t"}]})");
  try {
    load_model_vocabulary(folder.path());
    ADD_FAILURE() << "expected an error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(),
                testing::AllOf(HasSubstr("tokenizer_config.json: \"chat_template\""), HasSubstr("default")));
  }
  write(config, "[1]");
  EXPECT_EQ(load_model_vocabulary(folder.path()).chat_template, "");
}

// A run folder before its first checkpoint.
TEST(ModelVocabulary, ARunFolderHasFilesOfItsOwn) {
  const support::TemporaryFolder folder;
  EXPECT_EQ(load_model_vocabulary(folder.path()).tokenizer, nullptr);
  write(folder.path() / "tokenizer.json", kTokenizer);
  write(folder.path() / "chat_template.jinja", "ours");
  const ModelVocabulary found = load_model_vocabulary(folder.path());
  ASSERT_NE(found.tokenizer, nullptr);
  EXPECT_EQ(found.chat_template, "ours");
}

// Such a number would become another type.
TEST(ModelVocabulary, ATypeOfATokenOutsideItsRangeIsNamed) {
  const support::TemporaryFolder folder;
  const int64_t type = (int64_t{1} << 32) + 1;
  GgufValue types;
  types.type = GgufType::kArray;
  types.element_type = GgufType::kInt64;
  types.count = 1;
  types.bytes = {reinterpret_cast<const char*>(&type), sizeof(type)};
  GgufMetadata metadata;
  metadata.add_text("tokenizer.ggml.model", "gpt2");
  metadata.add_texts("tokenizer.ggml.tokens", std::vector<std::string>{"a"});
  metadata.add({"tokenizer.ggml.token_type", types});
  GgufWriter(folder / "m.gguf", metadata, {}).finish();
  try {
    load_model_vocabulary(folder / "m.gguf");
    ADD_FAILURE() << "expected an error";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("m.gguf: key tokenizer.ggml.token_type holds 4294967297"));
  }
}

}  // namespace
}  // namespace terse::trainer
