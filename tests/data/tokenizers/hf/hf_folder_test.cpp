// Tests where the ends of a text are found in a Hugging Face folder.
#include "data/tokenizers/hf/hf_folder.h"

#include <gmock/gmock.h>

#include "base/errors.h"
#include "tests/data/tokenizers/fixtures.h"

namespace terse::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class HfFolder : public ::testing::Test {
 protected:
  HfFolder() {
    nlohmann::json document = small_tokenizer();
    document["added_tokens"].push_back({{"id", 259}, {"content", "<eot>"}, {"special", true}});
    document["added_tokens"].push_back({{"id", 260}, {"content", "<bos>"}, {"special", true}});
    dir_.write("tokenizer.json", document.dump(2));
  }

  std::string refused() {
    return message_of<DataError>([&] { load_hf_tokenizer(dir_.path()); });
  }

  TemporaryFolder dir_;
};

TEST_F(HfFolder, NamesAreStringsOrObjects) {
  dir_.write("tokenizer_config.json", R"({"bos_token": {"content": "<bos>"}, "eos_token": "<eos>", "other": 1})");
  const auto tokenizer = load_hf_tokenizer(dir_.path());
  EXPECT_EQ(tokenizer->bos(), 260);
  EXPECT_THAT(tokenizer->eos_ids(), ElementsAre(258));
  EXPECT_TRUE(is_hf_folder(dir_.path()));
}

TEST_F(HfFolder, AFolderAloneHasNoEnds) {
  const auto tokenizer = load_hf_tokenizer(dir_.path());
  EXPECT_EQ(tokenizer->bos(), -1);
  EXPECT_EQ(tokenizer->eos(), -1);
  EXPECT_EQ(tokenizer->definition(), read_file(dir_ / "tokenizer.json"));
}

TEST_F(HfFolder, TheGenerationConfigAddsEnds) {
  dir_.write("tokenizer_config.json", R"({"eos_token": "<eot>"})");
  dir_.write("generation_config.json", R"({"eos_token_id": [258, 259, 97]})");
  dir_.write("config.json", R"({"eos_token_id": 98})");
  EXPECT_THAT(load_hf_tokenizer(dir_.path())->eos_ids(), ElementsAre(259, 258, 97));
  std::filesystem::remove(dir_ / "generation_config.json");
  EXPECT_THAT(load_hf_tokenizer(dir_.path())->eos_ids(), ElementsAre(259, 98));
}

TEST_F(HfFolder, TheTokenizerConfigDecidesEvenIfItSaysNull) {
  dir_.write("special_tokens_map.json", R"({"bos_token": "<bos>", "eos_token": "<eos>"})");
  EXPECT_EQ(load_hf_tokenizer(dir_.path())->bos(), 260);
  dir_.write("tokenizer_config.json", R"({"bos_token": null})");
  const auto tokenizer = load_hf_tokenizer(dir_.path());
  EXPECT_EQ(tokenizer->bos(), -1);
  EXPECT_EQ(tokenizer->eos(), 258);
}

// transformers, too, writes the token of the post-processor before each text, whatever bos_token says.
TEST_F(HfFolder, WithoutANameTheTokenThatThePostProcessorWritesStays) {
  nlohmann::json document = nlohmann::json::parse(read_file(dir_ / "tokenizer.json"));
  document["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single",
       {{{"SpecialToken", {{"id", "<bos>"}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
      {"pair", nlohmann::json::array()},
      {"special_tokens", {{"<bos>", {{"id", "<bos>"}, {"ids", {260}}, {"tokens", {"<bos>"}}}}}}};
  dir_.write("tokenizer.json", document.dump());
  dir_.write("tokenizer_config.json", R"({"bos_token": null, "eos_token": "<eos>"})");
  const auto tokenizer = load_hf_tokenizer(dir_.path());
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->bos(), 260);
  document["model"]["terse"] = {{"bos", -1}, {"eos", {258}}};
  EXPECT_FALSE(parse_tokenizer(document.dump(), "t")->adds_bos()) << "there is none to add";
}

TEST_F(HfFolder, TheDefinitionTellsTheEndsAlone) {
  dir_.write("tokenizer_config.json", R"({"bos_token": "<bos>", "eos_token": "<eos>"})");
  dir_.write("generation_config.json", R"({"eos_token_id": [259]})");
  const auto tokenizer = load_tokenizer(dir_.path());
  const auto copy = parse_tokenizer(tokenizer->definition(), "copy");
  EXPECT_EQ(copy->id(), tokenizer->id());
  EXPECT_EQ(copy->bos(), 260);
  EXPECT_THAT(copy->eos_ids(), ElementsAre(258, 259));
  EXPECT_EQ(copy->id(), load_tokenizer(dir_ / "tokenizer.json")->id());
}

TEST_F(HfFolder, RefusesAnotherBosThanThePostProcessorAdds) {
  nlohmann::json document = nlohmann::json::parse(read_file(dir_ / "tokenizer.json"));
  document["post_processor"] = {{"type", "TemplateProcessing"},
                                {"single", {{{"SpecialToken", {{"id", "<bos>"}}}}, {{"Sequence", {{"id", "A"}}}}}}};
  dir_.write("tokenizer.json", document.dump());
  EXPECT_EQ(load_hf_tokenizer(dir_.path())->bos(), 260);
  dir_.write("tokenizer_config.json", R"({"bos_token": "<bos>"})");
  EXPECT_TRUE(load_hf_tokenizer(dir_.path())->adds_bos());
  dir_.write("tokenizer_config.json", R"({"bos_token": "<eot>"})");
  EXPECT_THAT(refused(),
              HasSubstr("the post-processor of tokenizer.json begins a text with \"<bos>\", but bos_token of "
                        "tokenizer_config.json or special_tokens_map.json is \"<eot>\""));
}

TEST_F(HfFolder, NamesTheFileAndThePlaceOfAMistake) {
  dir_.write("tokenizer_config.json", R"({"eos_token": "<none>"})");
  EXPECT_THAT(refused(), HasSubstr("tokenizer_config.json: eos_token: tokenizer.json has no token \"<none>\""));
  dir_.write("tokenizer_config.json", R"({"eos_token": 5})");
  EXPECT_THAT(refused(), HasSubstr("tokenizer_config.json: eos_token: found 5, expected a string"));
  dir_.write("tokenizer_config.json", "[]");
  EXPECT_THAT(refused(), HasSubstr("tokenizer_config.json: it is not an object"));
  dir_.write("tokenizer_config.json", "{");
  EXPECT_THAT(refused(), HasSubstr("tokenizer_config.json: "));
  dir_.write("tokenizer_config.json", "{}");
  dir_.write("generation_config.json", R"({"eos_token_id": [1, 261]})");
  EXPECT_THAT(refused(),
              HasSubstr("generation_config.json: eos_token_id[1]: found 261, expected a whole number from 0 to 260"));
  dir_.write("tokenizer.json", "{}");
  EXPECT_THAT(refused(), HasSubstr("tokenizer.json: it has no \"model\""));
  EXPECT_THROW(load_hf_tokenizer(dir_ / "absent"), DataError);
  EXPECT_FALSE(is_hf_folder(dir_ / "absent"));
}

}  // namespace
}  // namespace terse::data
