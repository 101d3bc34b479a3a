// Tests which added tokens are found, and what they take from the text beside them.
#include "data/tokenizers/bpe/added_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace terse::data {
namespace {

using ::testing::ElementsAre;

AddedToken token(int32_t id, const std::string& content, bool special = false) {
  return {id, content, special, false, false, false, false};
}

// `accept`: null: special tokens are text.
std::vector<std::string> parts(const AddedTokens& tokens, const std::string& text, const AddedTokens::Accept& accept) {
  std::vector<std::string> result;
  const auto on_text = [&](std::string_view part) { result.emplace_back(part); };
  const auto on_token = [&](int32_t id) { result.push_back("#" + std::to_string(id)); };
  if (accept) {
    tokens.split(text, accept, on_text, on_token);
  } else {
    tokens.split(text, on_text, on_token);
  }
  return result;
}

std::vector<std::string> parts(const AddedTokens& tokens, const std::string& text) {
  return parts(tokens, text, [](const AddedTokens::Match&) { return true; });
}

TEST(AddedTokens, TheLeftmostAndLongestIsFound) {
  const AddedTokens tokens({token(1, "<a>"), token(2, "<a>b"), token(3, "a>bc"), token(4, "x")});
  EXPECT_THAT(parts(tokens, "1<a>bc"), ElementsAre("1", "#2", "c"));
  EXPECT_THAT(parts(tokens, "<a><a"), ElementsAre("#1", "<a"));
  EXPECT_THAT(parts(tokens, "a>bcx"), ElementsAre("#3", "#4"));
  EXPECT_THAT(parts(tokens, ""), ElementsAre());
  EXPECT_THAT(parts(AddedTokens(), "text"), ElementsAre("text"));
  EXPECT_EQ(tokens.longest(), 4u);
}

TEST(AddedTokens, SpecialOnesAreTextWhereTheyAreNotAllowed) {
  const AddedTokens tokens({token(1, "<s>", true), token(2, "s>x"), token(3, "y")});
  EXPECT_THAT(parts(tokens, "a<s>xy", nullptr), ElementsAre("a<s>x", "#3")) << "as the library, which passes over them";
  EXPECT_THAT(parts(tokens, "a<s>xy"), ElementsAre("a", "#1", "x", "#3"));
}

TEST(AddedTokens, OfSeveralMatchesTheLongestThatIsAcceptedCounts) {
  const AddedTokens tokens({token(1, "<a>"), token(2, "<a>b"), token(3, ">bc")});
  const auto up_to = [](size_t end) { return [=](const AddedTokens::Match& match) { return match.end <= end; }; };
  EXPECT_THAT(parts(tokens, "<a>bc", up_to(4)), ElementsAre("#2", "c"));
  EXPECT_THAT(parts(tokens, "<a>bc", up_to(3)), ElementsAre("#1", "bc"));
  EXPECT_THAT(parts(tokens, "<a>bc", [](const auto& match) { return match.begin > 0; }), ElementsAre("<a", "#3"));
}

TEST(AddedTokens, FlagsLookAround) {
  AddedToken left = token(1, "<l>"), right = token(2, "<r>"), word = token(3, "w");
  left.lstrip = right.rstrip = word.single_word = true;
  const AddedTokens tokens({left, right, word});
  EXPECT_THAT(parts(tokens, "a \xC2\xA0\n<l> b"), ElementsAre("a", "#1", " b"));
  EXPECT_THAT(parts(tokens, "a <r> \xE3\x80\x80 b"), ElementsAre("a ", "#2", "b"));
  EXPECT_THAT(parts(tokens, "<r>  <l>"), ElementsAre("#2", "#1"));
  EXPECT_THAT(parts(tokens, "w ww (w) _w w\xCC\x81 \xC3\xA9w"),
              ElementsAre("#3", " ww (", "#3", ") _w w\xCC\x81 \xC3\xA9w"));
  EXPECT_TRUE(tokens.look_around());
  EXPECT_FALSE(AddedTokens({token(1, "a")}).look_around());
}

TEST(AddedTokens, BytesThatAreNotUtf8AreText) {
  AddedToken around = token(1, "<t>");
  around.lstrip = around.rstrip = around.single_word = true;
  EXPECT_THAT(parts(AddedTokens({around}), "\xFF\x80\x80\x80\x80<t>\xC3"),
              ElementsAre("\xFF\x80\x80\x80\x80", "#1", "\xC3"));
}

}  // namespace
}  // namespace terse::data
