// Texts of options are compared as in rl/tasks/answers/exact.h.
#include "rl/tasks/answers/choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "rl/tasks/answers/exact.h"
#include "rl/tasks/answers/final_answer.h"

namespace terse::rl {

namespace {

constexpr size_t kMaxOptions = 26;

struct ReadChoice {
  AnswerOutcome problem = AnswerOutcome::kRight;
  size_t value = 0;  // 0: option A
};

bool is_letter(char c) {
  return c >= 'a' && c <= 'z';
}

// A letter at the front of a lower-case text. `rest` is what follows it and its brackets.
struct Letter {
  size_t option = 0;
  std::string_view rest;
};

std::optional<Letter> leading_letter(std::string_view text) {
  const bool bracket = text.starts_with('(') || text.starts_with('[');
  const char close = text.starts_with('[') ? ']' : ')';
  const size_t at = bracket ? 1 : 0;
  if (text.size() <= at || !is_letter(text[at])) return {};
  std::string_view rest = text.substr(at + 1);
  if (bracket) {
    if (!rest.starts_with(close)) return {};
    rest.remove_prefix(1);
  } else if (rest.starts_with(')') || rest.starts_with('.') || rest.starts_with(':')) {
    rest.remove_prefix(1);
  } else if (!rest.empty()) {
    return {};  // a word
  }
  return Letter{static_cast<size_t>(text[at] - 'a'), trimmed(rest)};
}

// Counts how many letters of options stand alone in a lower-case text.
int64_t count_letters(std::string_view text, size_t options) {
  int64_t count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool alone = (i == 0 || !is_letter(text[i - 1])) && (i + 1 == text.size() || !is_letter(text[i + 1]));
    if (is_letter(text[i]) && static_cast<size_t>(text[i] - 'a') < options && alone) ++count;
  }
  return count;
}

ReadChoice read_choice(std::string_view text, const std::vector<std::string>& options) {
  const std::string normalised = normalised_text(text);
  for (size_t i = 0; i < options.size(); ++i) {
    if (normalised == normalised_text(options[i])) return {.value = i};
  }
  std::string_view words = normalised;
  for (const std::string_view word : {"option ", "choice "}) {
    if (words.starts_with(word)) words.remove_prefix(word.size());
  }
  const size_t count = options.empty() ? kMaxOptions : options.size();
  if (const auto letter = leading_letter(words); letter && letter->option < count) {
    if (letter->rest.empty()) return {.value = letter->option};
    if (!options.empty() && normalised_text(letter->rest) == normalised_text(options[letter->option]))
      return {.value = letter->option};
  }
  return {.problem = count_letters(words, count) > 1 ? AnswerOutcome::kSeveralAnswers : AnswerOutcome::kUnreadable};
}

}  // namespace

std::string problem_of_choice(const AnswerReference& reference) {
  const std::vector<std::string>& options = reference.options;
  if (options.size() == 1 || options.size() > kMaxOptions)
    return fmt::format("there are {} options; expected 2 to {}, or none", options.size(), kMaxOptions);
  for (size_t i = 0; i < options.size(); ++i) {
    const std::string text = normalised_text(options[i]);
    const std::string name(1, static_cast<char>('A' + i));
    if (text.empty()) return fmt::format("option {} is empty", name);
    for (size_t j = 0; j < i; ++j) {
      if (text == normalised_text(options[j]))
        return fmt::format("options {} and {} are the same text", static_cast<char>('A' + j), name);
    }
    const auto letter = leading_letter(text);
    if (letter && letter->option != i && letter->option < options.size() && letter->rest.empty())
      return fmt::format("the text of option {} is the letter of another option", name);
  }
  if (read_choice(reference.answer, options).problem == AnswerOutcome::kRight) return "";
  return fmt::format("'{}' is no option", reference.answer);
}

AnswerOutcome check_choice(const AnswerReference& reference, std::string_view answer) {
  if (!problem_of_choice(reference).empty()) return AnswerOutcome::kUndecided;
  const size_t expected = read_choice(reference.answer, reference.options).value;
  return judge_answers(
      answer, expected, [&](std::string_view text) { return read_choice(text, reference.options); },
      [](size_t left, size_t right) { return left == right ? AnswerOutcome::kRight : AnswerOutcome::kOtherValue; });
}

}  // namespace terse::rl
