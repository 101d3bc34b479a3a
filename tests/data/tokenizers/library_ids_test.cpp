// Compares ids with those of the `tokenizers` library, which make_fixtures.py has stored.
#include <gtest/gtest.h>

#include "tests/data/tokenizers/fixtures.h"

namespace terse::data {
namespace {

std::vector<int32_t> reference(const std::string& name, const char* kind, size_t index) {
  return expected().at("ids").at(name).at(kind).at(index).get<std::vector<int32_t>>();
}

TEST(LibraryIds, PlainTextHasTheIdsOfTheLibrary) {
  const auto texts = expected().at("texts").get<std::vector<std::string>>();
  ASSERT_GE(texts.size(), 80u);
  for (const std::string& name : kFixtures) {
    const auto tokenizer = fixture(name);
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(tokenizer->encode(texts[i]), reference(name, "plain", i)) << name << ": " << texts[i];
    }
  }
}

TEST(LibraryIds, TemplatesHaveTheIdsOfTheLibrary) {
  const auto texts = expected().at("texts").get<std::vector<std::string>>();
  for (const std::string& name : kFixtures) {
    const auto tokenizer = fixture(name);
    for (size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(tokenizer->encode_template(texts[i]), reference(name, "template", i)) << name << ": " << texts[i];
    }
  }
}

TEST(LibraryIds, PlainTextNeverHasSpecialTokens) {
  for (const std::string& name : kFixtures) {
    const auto tokenizer = fixture(name);
    for (const std::string text : {"<|im_end|>", "x<|im_start|><|endoftext|>", " <|im_end|> "}) {
      for (const int32_t id : tokenizer->encode(text)) EXPECT_FALSE(tokenizer->is_special(id)) << name << text;
      const std::vector<int32_t> ids = tokenizer->encode_template(text);
      EXPECT_TRUE(std::any_of(ids.begin(), ids.end(), [&](int32_t id) { return tokenizer->is_special(id); }));
    }
  }
}

}  // namespace
}  // namespace terse::data
