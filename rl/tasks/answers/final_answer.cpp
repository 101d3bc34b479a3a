// One pass collects the markers. A second one drops a line that only wraps a \boxed{...}, because that is one answer
// and not two.
#include "rl/tasks/answers/final_answer.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <utility>

#include "base/utf8.h"

namespace terse::rl {

namespace {

constexpr size_t kMaxBytes = 1 << 20;        // of a text in which final answers are looked for
constexpr size_t kMaxAnswerBytes = 1 << 12;  // of one final answer
constexpr size_t kMaxAnswers = 8;            // more are no answer, even when they agree
constexpr size_t kMaxMarks = 2 * kMaxAnswers + 1;
constexpr size_t kCueBytes = 200;  // of a line in which words announce the answer
constexpr int kMaxWrappers = 8;    // around one answer
constexpr std::string_view kSpace = " \t\r\n", kHashes = "####", kBoxed = "\\boxed{";

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Reads words of a line, whatever their case.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) {}

  std::string_view rest() const { return text_; }
  void skip(std::string_view characters) {
    text_.remove_prefix(std::min(text_.find_first_not_of(characters), text_.size()));
  }
  bool take(std::string_view start) {
    if (!text_.starts_with(start)) return false;
    text_.remove_prefix(start.size());
    return true;
  }
  // Takes one of the words and the space after it.
  bool take_word(std::initializer_list<std::string_view> words) {
    for (const std::string_view word : words) {
      if (text_.size() < word.size() || lower_case(text_.substr(0, word.size())) != word) continue;
      if (text_.size() > word.size() && is_letter(text_[word.size()])) continue;
      text_.remove_prefix(word.size());
      skip(" \t");
      return true;
    }
    return false;
  }

 private:
  std::string_view text_;
};

// If a line begins with words that announce the answer, returns what follows them. The view is part of `line`.
std::optional<std::string_view> after_cue(std::string_view line) {
  Words words(line);
  words.skip("#> \t");
  std::string_view emphasis = words.rest().substr(0, std::min(words.rest().find_first_not_of("*_"), line.size()));
  words.skip("*_");
  const auto end_emphasis = [&] {
    if (!emphasis.empty() && words.take(emphasis)) emphasis = {};
    words.skip(" \t");
  };
  while (words.take_word({"so", "thus", "therefore", "hence", "finally", "then", "and"})) {
    if (words.take(",")) words.skip(" \t");
  }
  words.take_word({"the", "my", "our"});
  words.take_word({"final", "correct"});
  if (!words.take_word({"answer"})) return {};
  if (words.take_word({"to", "for"})) {
    if (!words.take_word({"the", "this"}) || !words.take_word({"question", "problem"})) return {};
  }
  end_emphasis();
  const bool is = words.take_word({"is"});
  if (is) words.take_word({"therefore", "thus", "then", "hence", "simply"});
  const bool colon = words.take(":") || words.take("=");
  if (!is && !colon && trimmed(words.rest()).size() > 0) return {};
  end_emphasis();
  return words.rest();
}

struct Mark {
  std::string_view text;  // what follows the mark
  bool line = false;      // it ends with its line; otherwise with its bracket
  bool broken = false;    // its bracket does not end
};

std::string_view line_of(std::string_view text) {
  return text.substr(0, std::min(text.find('\n'), text.size()));
}

// Returns the contents of the bracket that was opened before `text`; empty: it does not end.
std::optional<std::string_view> bracket_of(std::string_view text) {
  size_t depth = 1;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\')
      ++i;
    else if (text[i] == '{')
      ++depth;
    else if (text[i] == '}' && --depth == 0)
      return text.substr(0, i);
  }
  return {};
}

// The answer after a mark ends with its line. An empty line, as after a heading, continues on the next lines.
Mark line_mark(std::string_view rest) {
  const std::string_view line = line_of(rest);
  const bool is_empty = line.find_first_not_of(" \t\r*_`:") == std::string_view::npos;
  return {.text = is_empty ? rest : line, .line = true};
}

Mark bracket_mark(std::string_view rest) {
  const auto inside = bracket_of(rest);
  return {.text = inside.value_or(rest), .broken = !inside};
}

// The marks of a text, in order; after kMaxMarks, the search ends.
std::vector<Mark> find_marks(std::string_view text) {
  std::vector<Mark> marks;
  char before = '\n';  // the last character that is no space
  for (size_t at = 0; at < text.size() && marks.size() < kMaxMarks; ++at) {
    const std::string_view rest = text.substr(at);
    if (rest[0] == ' ' || rest[0] == '\t') continue;
    const bool after_space = at == 0 || kSpace.find(text[at - 1]) != std::string_view::npos;
    const bool new_sentence = after_space && std::string_view("\n.!?").find(before) != std::string_view::npos;
    const auto answer = new_sentence ? after_cue(line_of(rest.substr(0, kCueBytes))) : std::nullopt;
    if (answer) marks.push_back(line_mark(text.substr(static_cast<size_t>(answer->data() - text.data()))));
    if (rest.starts_with(kHashes)) {
      const size_t end = std::min(rest.find_first_not_of('#'), rest.size());
      if (end == kHashes.size() && !answer) {
        const auto inner = after_cue(line_of(rest.substr(end, kCueBytes)));  // "#### The answer is 72" is one answer
        marks.push_back(
            line_mark(inner ? text.substr(static_cast<size_t>(inner->data() - text.data())) : rest.substr(end)));
      }
      at += end - 1;
    } else if (rest.starts_with(kBoxed)) {
      marks.push_back(bracket_mark(rest.substr(kBoxed.size())));
      at += kBoxed.size() - 1;
    }
    before = text[at];
  }
  return marks;
}

// Whether only decoration is left of a line when the bracket in it is taken away.
bool wraps(std::string_view line, std::string_view bracket) {
  const char *begin = bracket.data() - kBoxed.size(), *end = bracket.data() + bracket.size() + 1;
  if (begin < line.data() || end > line.data() + line.size()) return false;
  const auto is_decoration = [](std::string_view text) {
    return text.find_first_not_of(" \t\r\n*_`$.:\\()[]") == std::string_view::npos;
  };
  return is_decoration({line.data(), static_cast<size_t>(begin - line.data())}) &&
         is_decoration({end, static_cast<size_t>(line.data() + line.size() - end)});
}

// What may follow the last final answer: closing punctuation.
bool is_end(std::string_view text) {
  return text.find_first_not_of(" \t\r\n*_`$.!\\)]") == std::string_view::npos;
}

bool is_hidden(char32_t c) {
  constexpr std::pair<char32_t, char32_t> kRanges[] = {
      {0x00, 0x08},     {0x0B, 0x0C},       {0x0E, 0x1F},      {0x7F, 0x9F},     {0xAD, 0xAD},     {0x34F, 0x34F},
      {0x61C, 0x61C},   {0x115F, 0x1160},   {0x17B4, 0x17B5},  {0x180B, 0x180F}, {0x200B, 0x200F}, {0x2028, 0x202E},
      {0x2060, 0x206F}, {0x2800, 0x2800},   {0x3164, 0x3164},  {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF}, {0xFFA0, 0xFFA0},
      {0xFFF0, 0xFFFB}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}};
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [c](const auto& range) { return c >= range.first && c <= range.second; });
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return text.substr(text.size());
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

bool has_hidden_text(std::string_view text) {
  while (!text.empty()) {
    const CodePoint next = first_code_point(text);
    if (next.length == 0 || is_hidden(next.value)) return true;
    text.remove_prefix(static_cast<size_t>(next.length));
  }
  return false;
}

std::string_view undecorated(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> kPairs[] = {
      {"**", "**"},     {"__", "__"},       {"*", "*"},         {"_", "_"},        {"`", "`"},
      {"$$", "$$"},     {"$", "$"},         {"\\(", "\\)"},     {"\\[", "\\]"},    {kBoxed, "}"},
      {"\\text{", "}"}, {"\\mathrm{", "}"}, {"\\mathbf{", "}"}, {"\\textbf{", "}"}};
  text = trimmed(text);
  for (int i = 0; i < kMaxWrappers; ++i) {
    const size_t before = text.size();
    if (text.ends_with('.') && !text.ends_with("..")) text = trimmed(text.substr(0, text.size() - 1));
    // Emphasis that began before the answer ends here: "**Answer: 72**".
    const size_t emphasis = text.find_last_not_of("*_") + 1;
    if (text.find_first_of("*_") == emphasis) text = trimmed(text.substr(0, emphasis));
    for (const auto& [open, close] : kPairs) {
      if (text.size() < open.size() + close.size() || !text.starts_with(open) || !text.ends_with(close)) continue;
      const std::string_view inside = text.substr(open.size(), text.size() - open.size() - close.size());
      // "\text{a} or \text{b}" is not one wrapped text.
      const bool is_whole =
          close == "}" ? bracket_of(text.substr(open.size())) == inside : inside.find(close) == std::string_view::npos;
      if (!is_whole) continue;
      text = trimmed(inside);
      break;
    }
    if (text.size() == before) break;
  }
  return text;
}

FinalAnswers find_final_answers(std::string_view text) {
  if (text.size() > kMaxBytes) return {.problem = AnswerOutcome::kTooLong};
  const std::vector<Mark> marks = find_marks(text);
  FinalAnswers found{.marked = !marks.empty()};
  if (std::any_of(marks.begin(), marks.end(), [](const Mark& mark) { return mark.broken; }))
    return {.problem = AnswerOutcome::kUnreadable};
  for (size_t i = 0; i < marks.size(); ++i) {
    const bool is_wrapper = marks[i].line && std::any_of(marks.begin(), marks.end(), [&](const Mark& other) {
                              return !other.line && wraps(marks[i].text, other.text);
                            });
    if (!is_wrapper) found.texts.push_back(marks[i].text);
  }
  if (found.texts.empty()) found.texts.push_back(text);
  if (found.texts.size() > kMaxAnswers || marks.size() == kMaxMarks) return {.problem = AnswerOutcome::kSeveralAnswers};
  const char* end = text.data();
  for (const std::string_view answer : found.texts) {
    if (trimmed(answer).empty()) return {.problem = AnswerOutcome::kNoAnswer};
    if (answer.size() > kMaxAnswerBytes) {
      return {.problem = marks.empty() ? AnswerOutcome::kNoAnswer : AnswerOutcome::kTooLong};
    }
    if (has_hidden_text(answer)) return {.problem = AnswerOutcome::kHiddenText};
    end = std::max(end, answer.data() + answer.size());
  }
  std::string_view rest = text.substr(static_cast<size_t>(end - text.data()));
  if (!marks.empty() && rest.starts_with('}')) rest.remove_prefix(1);
  if (!is_end(rest)) return {.problem = AnswerOutcome::kSeveralAnswers};
  return found;
}

}  // namespace terse::rl
