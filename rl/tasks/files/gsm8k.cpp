// Reads a line of the published format. rl/tasks/answers/number.h compares answers.
#include "rl/tasks/files/gsm8k.h"

#include <fmt/format.h>

#include <stdexcept>

#include "rl/tasks/answers/final_answer.h"
#include "rl/tasks/answers/number.h"
#include "rl/tasks/files/item_file.h"

namespace terse::rl {
namespace {

constexpr std::string_view kMark = "####";

// The reference after the last mark; empty when it is no number.
std::string reference_of(std::string_view answer) {
  const size_t at = answer.rfind(kMark);
  if (at == std::string_view::npos) return "";
  std::string reference(trimmed(answer.substr(at + kMark.size())));
  return problem_of_number({reference}).empty() ? reference : "";
}

// Returns the text without its calculator marks, and adds their number to `marks`.
std::string without_marks(std::string_view text, int64_t& marks) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = text.find("<<", at), end = text.find(">>", begin == std::string_view::npos ? at : begin);
    if (begin == std::string_view::npos || end == std::string_view::npos) return out += text.substr(at);
    out += text.substr(at, begin - at);
    at = end + 2;
    ++marks;
  }
  return out;
}

Item read_item(const ItemLine& line) {
  const std::string answer = line.text("answer");
  Item item{.prompt = {{"user", line.text("question")}},
            .plain_separator = "\n",
            .answer = reference_of(answer),
            .difficulty = 0};
  if (item.answer.empty()) line.fail("its \"answer\" does not end with #### and a number");
  item.meta = without_marks(answer, item.difficulty);
  return item;
}

class Gsm8k final : public Task, public Demonstrations {
 public:
  explicit Gsm8k(const configs::Task& config)
      : items_(read_item_files(config, "\"question\" and \"answer\"", read_item)) {}

  std::string name() const override { return "gsm8k"; }
  const Demonstrations* demonstrations() const override { return this; }
  std::vector<std::string> forms() const override { return {"solution"}; }
  std::vector<double> form_shares() const override { return {1}; }
  std::optional<int64_t> max_solution_tokens(std::string_view) const override { return std::nullopt; }
  std::optional<int64_t> size(Split split) const override { return std::ssize(items_.of(split)); }
  Item item(Split split, int64_t index) const override { return items_.item(split, index, name()); }

  std::string solution(const Item& item, std::string_view form) const override {
    if (form != "solution") throw std::invalid_argument(fmt::format("gsm8k: unknown form '{}'; known: solution", form));
    return item.meta;
  }

  Verdict verify(const Item& item, const Response& response) const override {
    if (item.answer.empty()) return {.status = VerifyStatus::kError};
    const AnswerOutcome outcome = check_number({item.answer}, response.answer().value_or(""));
    if (outcome == AnswerOutcome::kUndecided) return {.status = VerifyStatus::kError};
    Verdict out = verdict(response.finished && outcome == AnswerOutcome::kRight);
    const bool is_number = outcome == AnswerOutcome::kRight || outcome == AnswerOutcome::kOtherValue;
    out.parts = {{"has_answer", is_number ? 1.0 : 0.0}};
    return out;
  }

 private:
  ItemFiles items_;
};

}  // namespace

std::unique_ptr<Task> make_gsm8k(const configs::Task& config, int64_t) {
  return std::make_unique<Gsm8k>(config);
}

}  // namespace terse::rl
