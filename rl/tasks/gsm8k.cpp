// Reads the whole files, which have a few thousand lines. rl/tasks/answers/number.h compares answers.
#include "rl/tasks/gsm8k.h"

#include <fmt/format.h>

#include "base/checksum.h"
#include "base/errors.h"
#include "base/jsonl.h"
#include "rl/tasks/answers/final_answer.h"
#include "rl/tasks/answers/number.h"

namespace terse::rl {
namespace {

constexpr std::string_view kMark = "####";
constexpr uint64_t kHeldOutShare = 20;  // one in this many questions is for evaluation, without an eval_path

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

std::vector<Item> read_items(const std::string& path) {
  JsonlReader reader(path);
  if (!reader.is_open()) throw DiskError(fmt::format("task.path: {} cannot be opened for reading", path));
  std::vector<Item> items;
  while (reader.next()) {
    const auto fail = [&](const std::string& what) {
      throw DataError(fmt::format("{}, line {}: {}", path, reader.number(), what));
    };
    const auto text = [&](const char* key) {
      const auto found = reader.object().find(key);
      if (found == reader.object().end() || !found->is_string()) fail(fmt::format("expected a string \"{}\"", key));
      return found->get<std::string>();
    };
    if (reader.text().find_first_not_of(" \t\r") == std::string::npos) continue;
    if (!reader.is_object()) fail("expected a JSON object with \"question\" and \"answer\"");
    const std::string answer = text("answer");
    Item item{.prompt = {{"user", text("question") + "\n"}}, .answer = reference_of(answer), .difficulty = 0};
    if (item.answer.empty()) fail("its \"answer\" does not end with #### and a number");
    item.meta = without_marks(answer, item.difficulty);
    items.push_back(std::move(item));
  }
  return items;
}

class Gsm8k final : public Task, public Demonstrations {
 public:
  explicit Gsm8k(const configs::Task& config) {
    if (config.path.empty()) {
      throw ConfigError(
          "task.path is empty, but task gsm8k reads its problems from there; name a JSON Lines file with "
          "\"question\" and \"answer\"");
    }
    for (Item& item : read_items(config.path)) {
      const std::string& question = item.prompt[0].content;
      const bool held_out = config.eval_path.empty() && xxh3(question.data(), question.size(), 0) % kHeldOutShare == 0;
      (held_out ? eval_ : train_).push_back(std::move(item));
    }
    if (!config.eval_path.empty()) eval_ = read_items(config.eval_path);
    if (train_.empty()) throw DataError(fmt::format("{} has no problem to train on", config.path));
    if (eval_.empty()) {
      throw DataError(
          fmt::format("{} has no problem to evaluate on", config.eval_path.empty() ? config.path : config.eval_path));
    }
  }

  std::string name() const override { return "gsm8k"; }
  const Demonstrations* demonstrations() const override { return this; }
  std::vector<std::string> forms() const override { return {"solution"}; }
  std::vector<double> form_shares() const override { return {1}; }
  std::optional<int64_t> max_solution_tokens(std::string_view) const override { return std::nullopt; }
  std::optional<int64_t> size(Split split) const override {
    return std::ssize(split == Split::kTrain ? train_ : eval_);
  }

  Item item(Split split, int64_t index) const override {
    const std::vector<Item>& items = split == Split::kTrain ? train_ : eval_;
    if (index < 0 || index >= std::ssize(items)) {
      throw std::invalid_argument(fmt::format("gsm8k: no problem {}; expected 0 to {}", index, items.size() - 1));
    }
    Item item = items[static_cast<size_t>(index)];
    item.index = index;
    return item;
  }

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
  std::vector<Item> train_, eval_;
};

}  // namespace

std::unique_ptr<Task> make_gsm8k(const configs::Task& config, int64_t) {
  return std::make_unique<Gsm8k>(config);
}

}  // namespace terse::rl
