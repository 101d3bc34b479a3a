// Tests what a task's verifier gets to see of a response, and what becomes of its verdict.
#include "rl/tasks/tokenized_task.h"

#include <gtest/gtest.h>

#include "data/tokenizers/byte_tokenizer.h"

namespace terse::rl {
namespace {

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

}  // namespace
}  // namespace terse::rl
