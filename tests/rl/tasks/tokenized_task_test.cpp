// Tests what a task's verifier gets to see of a response, and what becomes of its verdict.
#include "rl/tasks/tokenized_task.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/errors.h"
#include "data/tokenizers/byte_tokenizer.h"

namespace terse::rl {
namespace {

using namespace std::string_literals;

// Accepts every response, and repeats it in the form.
class Careless final : public Task {
 public:
  std::string name() const override { return "careless"; }
  Item item(Split, int64_t index) const override { return {.index = index, .prompt = {{"user", "1+1="}}}; }
  Verdict verify(const Item&, const Response& response) const override {
    const std::string answer(response.answer().value_or("none"));
    return verdict(true, response.text + (response.finished ? "." : "...") + (answer == response.text ? "" : answer));
  }
};

class OfACarelessTask : public testing::Test {
 protected:
  Verdict judged(std::vector<int32_t> response) { return task.verify(task.problem(Split::kEval, 0), response); }

  std::shared_ptr<const data::Tokenizer> tokenizer = std::make_shared<data::ByteTokenizer>();
  TokenizedTask task{std::make_unique<Careless>(), data::ChatFormat::plain(tokenizer), 1};
  std::vector<int32_t> two = tokenizer->encode("2");
};

TEST_F(OfACarelessTask, TheVerifierSeesTheTextWithoutTheEndToken) {
  std::vector<int32_t> response = two;
  response.push_back(tokenizer->eos());
  const Verdict verdict = judged(response);
  EXPECT_EQ(verdict.form, "2.");
  EXPECT_TRUE(verdict.correct);
  EXPECT_EQ(verdict.score, 1);
}

TEST_F(OfACarelessTask, AResponseThatWasCutIsWrong) {
  const Verdict verdict = judged(two);
  EXPECT_EQ(verdict.form, "2...");
  EXPECT_EQ(verdict.status, VerifyStatus::kOk);
  EXPECT_FALSE(verdict.correct);
  EXPECT_EQ(verdict.score, 0);
  EXPECT_FALSE(judged({}).correct);
}

TEST_F(OfACarelessTask, TheFormatSaysWhatTheAnswerIs) {
  configs::Chat marks;
  marks.think_open = "<think>";
  marks.think_close = "</think>";
  const auto chat = std::make_shared<const data::ChatFormat>(tokenizer, "", "", marks);
  const TokenizedTask thinking(std::make_unique<Careless>(), chat, 1);
  const auto form = [&](const std::string& text) {
    std::vector<int32_t> response = tokenizer->encode(text);
    response.push_back(tokenizer->eos());
    return thinking.verify(thinking.problem(Split::kEval, 0), response).form;
  };
  EXPECT_EQ(form("<think>1</think>2"), "<think>1</think>2.2");
  EXPECT_EQ(form("<think>1</think>"), "<think>1</think>.");
  EXPECT_EQ(form("<think>1"), "<think>1.none");
  EXPECT_EQ(form("2"), "2.");
}

// Demonstrates the answer of its only question.
class Shown final : public Task, public Demonstrations {
 public:
  std::string name() const override { return "shown"; }
  Item item(Split, int64_t index) const override {
    return {.index = index, .prompt = {{"user", "1+1="}}, .plain_separator = "\n"};
  }
  Verdict verify(const Item&, const Response& response) const override {
    return verdict(response.answer().value_or("").find('2') != std::string_view::npos);
  }
  const Demonstrations* demonstrations() const override { return this; }
  std::vector<std::string> forms() const override { return {"solution"}; }
  std::vector<double> form_shares() const override { return {1}; }
  std::string solution(const Item&, std::string_view) const override { return "2"; }
  std::optional<int64_t> max_solution_tokens(std::string_view) const override { return std::nullopt; }
};

// With the template, demonstrations are right in the eyes of the verifier, also where the prompt opens the thinking.
TEST(TokenizedTask, PromptsAndDemonstrationsFollowTheTemplate) {
  const auto tokenizer = std::make_shared<data::ByteTokenizer>();
  const auto texts = [&](const std::string& chat_template) {
    const auto chat = std::make_shared<const data::ChatFormat>(tokenizer, chat_template, "t", configs::Chat());
    const TokenizedTask task(std::make_unique<Shown>(), chat, 1);
    const Problem problem = task.problem(Split::kTrain, 0);
    const std::vector<int32_t> trace = task.trace(problem, "solution");
    EXPECT_TRUE(task.verify(problem, trace).correct) << chat_template;
    return std::pair(tokenizer->decode(problem.prompt), tokenizer->decode(trace));
  };
  const std::string turns = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}";
  EXPECT_EQ(texts(""), std::pair("1+1=\n"s, "2"s));
  EXPECT_EQ(texts(turns + "{% if add_generation_prompt %}[assistant]{% endif %}"),
            std::pair("[user]1+1=[assistant]"s, "2"s));
  EXPECT_EQ(texts(turns + "{% if add_generation_prompt %}[assistant]<think>{% endif %}{# </think> #}"),
            std::pair("[user]1+1=[assistant]<think>"s, "\n</think>\n\n2"s));
}

TEST(TokenizedTask, AnEmptyPromptIsRefused) {
  class Silent final : public Task {
   public:
    std::string name() const override { return "silent"; }
    Item item(Split, int64_t index) const override { return {.index = index, .prompt = {{"user", ""}}}; }
    Verdict verify(const Item&, const Response&) const override { return verdict(true); }
  };
  const auto chat = data::ChatFormat::plain(std::make_shared<data::ByteTokenizer>());
  const TokenizedTask task(std::make_unique<Silent>(), chat, 1);
  EXPECT_THAT([&] { task.problem(Split::kTrain, 3); },
              testing::ThrowsMessage<DataError>(testing::HasSubstr("task silent, item 3: its prompt is empty")));
}

}  // namespace
}  // namespace terse::rl
