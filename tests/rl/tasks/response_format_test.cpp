// Tests where the answer of a response begins.
#include "rl/tasks/response_format.h"

#include <gtest/gtest.h>

namespace terse::rl {
namespace {

using Answer = std::optional<std::string_view>;
const Answer kNone;

TEST(ResponseFormat, WithoutThinkingAllOfAResponseIsAnswer) {
  const ResponseFormat none;
  EXPECT_EQ(none.answer_of("72"), Answer("72"));
  EXPECT_EQ(none.answer_of("<think>72</think>"), Answer("<think>72</think>"));
  EXPECT_EQ(none.answer_of(""), Answer(""));
}

TEST(ResponseFormat, TheAnswerFollowsTheThinking) {
  const ResponseFormat format = ResponseFormat::think_tags();
  EXPECT_EQ(format.answer_of("<think>a</think>b"), Answer("b"));
  EXPECT_EQ(format.answer_of("\n <think></think>\n\nb"), Answer("\n\nb"));
  EXPECT_EQ(format.answer_of("<think>a</think>"), Answer(""));
  EXPECT_EQ(format.answer_of("b"), Answer("b")) << "the model may answer without thinking";
}

TEST(ResponseFormat, WhatDoesNotFollowTheFormatHasNoAnswer) {
  const ResponseFormat format = ResponseFormat::think_tags();
  for (const char* response :
       {"<think>a", "a</think>b", "</think><think>b", "<think>a</think>b</think>c", "<think><think>a</think>b",
        "<think>a</think>b<think>c</think>d", "a<think>b</think>c", "<think>a<think>b", "<think>"})
    EXPECT_EQ(format.answer_of(response), kNone) << response;
}

TEST(ResponseFormat, APromptMayOpenTheThinking) {
  ResponseFormat format = ResponseFormat::think_tags();
  format.opened_by_prompt = true;
  EXPECT_EQ(format.answer_of("a</think>b"), Answer("b"));
  EXPECT_EQ(format.answer_of("b"), kNone) << "the thinking has not ended";
  EXPECT_EQ(format.answer_of("<think>a</think>b"), kNone);
  EXPECT_EQ(format.answer_of("a</think>b</think>c"), kNone);
}

TEST(ResponseFormat, AMarkOfTheUserAloneEndsTheThinking) {
  const ResponseFormat format{.close = "=>"};
  EXPECT_EQ(format.answer_of("1 + 2 => 3"), Answer(" 3"));
  EXPECT_EQ(format.answer_of("3"), kNone);
  EXPECT_EQ(format.answer_of("1 => 2 => 3"), kNone);
}

}  // namespace
}  // namespace terse::rl
