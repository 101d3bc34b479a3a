// Item::meta is JSON with the solution, so that an item that another task has made is recognised.
#include "rl/tasks/files/jsonl.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <unordered_map>

#include "base/errors.h"
#include "configs/yaml/suggest.h"
#include "rl/tasks/answers/answer_check.h"
#include "rl/tasks/files/item_file.h"
#include "rl/tasks/messages.h"

namespace terse::rl {
namespace {

using Json = nlohmann::json;

constexpr const char* kKeys[] = {"prompt", "messages", "answer", "difficulty", "solution"};
constexpr int64_t kMostDifficulty = 1'000'000;
constexpr double kLargestExact = 9007199254740992;  // 2^53: doubles beyond it skip whole numbers
constexpr size_t kTypo = 2;                         // edits between a key and the one that it was meant to be

// A misspelt optional key would be lost without a word.
void refuse_misspelt_keys(const ItemLine& line) {
  for (const auto& [key, value] : line.object().items()) {
    if (std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys)) continue;
    for (const char* known : kKeys) {
      if (line.find(known) == nullptr && configs::edit_distance(key, known) <= kTypo)
        line.fail(fmt::format("unknown key \"{}\"; did you mean \"{}\"?", key, known));
    }
  }
}

[[noreturn]] void refuse(const ItemLine& line, const char* key, const Json* value, const std::string& expected) {
  line.fail(fmt::format("\"{}\" is {}; expected {}", key, value == nullptr ? "missing" : shown_json(*value), expected));
}

std::vector<Message> read_prompt(const ItemLine& line) {
  const Json *text = line.find("prompt"), *messages = line.find("messages");
  if (text != nullptr && messages != nullptr)
    line.fail("it has both \"prompt\" and \"messages\"; expected one of them");
  if (text == nullptr && messages == nullptr) line.fail("it has neither \"prompt\" nor \"messages\"");
  if (text != nullptr) {
    if (!text->is_string() || text->get_ref<const std::string&>().empty())
      refuse(line, "prompt", text, "a string that is not empty");
    return {{"user", text->get<std::string>()}};
  }
  std::vector<Message> prompt;
  if (const std::string wrong = read_messages(*messages, prompt); !wrong.empty()) line.fail("\"messages\": " + wrong);
  // The assistant's last word would give the answer away.
  if (prompt.back().role != "user")
    line.fail(fmt::format("\"messages\": the last message is of the {}; expected one of the user", prompt.back().role));
  return prompt;
}

std::string read_answer(const ItemLine& line, const AnswerKind& kind) {
  const Json* value = line.find("answer");
  if (value == nullptr || !(value->is_string() || value->is_number()))
    refuse(line, "answer", value, "a text or a number");
  if (value->is_number_float() && std::abs(value->get<double>()) > kLargestExact) {
    refuse(line, "answer", value,
           "at most 2^53 for a number with so many digits or with an exponent; write it as a text, "
           "in quotes");
  }
  std::string answer = value->is_string() ? value->get<std::string>() : value->dump();
  if (const std::string wrong = kind.problem({answer}); !wrong.empty())
    line.fail(
        fmt::format("\"answer\" is {}, which is no answer of the kind {}: {}", shown_json(*value), kind.name, wrong));
  return answer;
}

Item read_item(const ItemLine& line, const AnswerKind& kind) {
  refuse_misspelt_keys(line);
  Item item{.prompt = read_prompt(line), .answer = read_answer(line, kind)};
  if (const Json* value = line.find("difficulty")) {
    const bool whole = value->is_number_unsigned() && value->get<uint64_t>() <= uint64_t{kMostDifficulty};
    if (!whole) refuse(line, "difficulty", value, fmt::format("a whole number from 0 to {}", kMostDifficulty));
    item.difficulty = value->get<int64_t>();
  }
  Json meta = Json::object();
  if (const Json* value = line.find("solution")) {
    if (!value->is_string() || value->get_ref<const std::string&>().empty())
      refuse(line, "solution", value, "a string that is not empty");
    meta["solution"] = *value;
  }
  item.meta = meta.dump();
  return item;
}

class Jsonl final : public Task, public Demonstrations {
 public:
  explicit Jsonl(const configs::Task& config)
      : kind_(answer_kind(config.options.get<std::string>("answer"))),
        items_(read_item_files(config, "\"prompt\" (or \"messages\") and \"answer\"",
                               [&](const ItemLine& line) { return read_item(line, kind_); })) {
    refuse_evaluated(config);
    demonstrates_ = std::all_of(items_.train.begin(), items_.train.end(),
                                [](const Item& item) { return Json::parse(item.meta).contains("solution"); });
  }

  std::string name() const override { return "jsonl"; }
  const Demonstrations* demonstrations() const override { return demonstrates_ ? this : nullptr; }
  std::vector<std::string> forms() const override { return {"solution"}; }
  std::vector<double> form_shares() const override { return {1}; }
  std::optional<int64_t> max_solution_tokens(std::string_view form) const override {
    require_form(form);
    return std::nullopt;
  }
  std::optional<int64_t> size(Split split) const override { return std::ssize(items_.of(split)); }
  Item item(Split split, int64_t index) const override { return items_.item(split, index, name()); }

  std::string solution(const Item& item, std::string_view form) const override {
    require_form(form);
    const Json meta = Json::parse(item.meta, nullptr, /*allow_exceptions=*/false);
    if (!meta.is_object() || !meta.contains("solution"))
      throw std::invalid_argument(fmt::format("jsonl: problem {} has no solution", item.index));
    return meta.at("solution").get<std::string>();
  }

  Verdict verify(const Item& item, const Response& response) const override {
    if (!Json::parse(item.meta, nullptr, /*allow_exceptions=*/false).is_object())
      return {.status = VerifyStatus::kError};
    const AnswerOutcome outcome = kind_.check({item.answer}, response.answer().value_or(""));
    if (outcome == AnswerOutcome::kUndecided) return {.status = VerifyStatus::kError};
    Verdict out = verdict(response.finished && outcome == AnswerOutcome::kRight);
    const bool has_answer = outcome == AnswerOutcome::kRight || outcome == AnswerOutcome::kOtherValue;
    out.parts = {{"has_answer", has_answer ? 1.0 : 0.0}};
    return out;
  }

 private:
  static void require_form(std::string_view form) {
    if (form == "solution") return;
    throw std::invalid_argument(fmt::format("jsonl: unknown form '{}'; known: solution", form));
  }

  // A held-out share needs no such check: equal prompts have equal hashes.
  void refuse_evaluated(const configs::Task& config) const {
    std::unordered_map<std::string, int64_t> evaluated;
    for (size_t i = 0; i < items_.eval.size(); ++i)
      evaluated.emplace(text_of_prompt(items_.eval[i].prompt), items_.eval_lines[i]);
    size_t both = 0, first = 0;
    for (size_t i = items_.train.size(); i-- > 0;) {
      if (!evaluated.contains(text_of_prompt(items_.train[i].prompt))) continue;
      first = i;
      ++both;
    }
    if (both == 0) return;
    const int64_t line = evaluated.at(text_of_prompt(items_.train[first].prompt));
    throw DataError(fmt::format(
        "{}, line {}: its prompt is also that of {}, line {}, so the evaluation would show what the model remembers; "
        "remove one of the two ({} lines of {} have a prompt to evaluate on)",
        config.path, items_.train_lines[first], config.eval_path, line, both, config.path));
  }

  const AnswerKind& kind_;
  ItemFiles items_;
  bool demonstrates_ = false;
};

}  // namespace

TaskDeclaration declare_jsonl() {
  std::vector<std::string> kinds;
  for (const AnswerKind& kind : answer_kinds()) kinds.emplace_back(kind.name);
  return {.options = {{"answer", std::string("number"),
                       "jsonl: how a final answer is compared with the reference; exact: the same text; regex: the "
                       "reference is a pattern",
                       configs::newer(configs::one_of(kinds))}}};
}

std::unique_ptr<Task> make_jsonl(const configs::Task& config, int64_t) {
  return std::make_unique<Jsonl>(config);
}

}  // namespace terse::rl
