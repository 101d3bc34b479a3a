// Finds what an answer commits to. A final answer is one of these:
//
// - what follows "####" on its line, as in GSM8K;
// - the contents of "\boxed{...}";
// - what follows "the answer is" or "answer:" at the beginning of a sentence, up to the end of the line; connectives
//   ("so", "therefore"), "final" and Markdown may surround these words;
// - the whole text, where it has none of these.
//
// Nothing but closing punctuation may follow the last final answer. Anything may stand before the first one. So
// reasoning is free to contain numbers, but whoever writes a second answer, or goes on after the answer, is wrong.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "rl/tasks/answers/answer_check.h"

namespace terse::rl {

struct FinalAnswers {
  // kRight: `texts` can be read. Otherwise the outcome of every check, and `texts` is empty.
  AnswerOutcome problem = AnswerOutcome::kRight;
  bool marked = false;                       // false: the whole text
  std::vector<std::string_view> texts = {};  // at least one, without undecorated() applied; part of the given text
};

FinalAnswers find_final_answers(std::string_view text);

// Returns the text without surrounding space, Markdown emphasis, mathematics delimiters ($...$, \(...\), \[...\]),
// \text{...} and \boxed{...}, and without a full stop at the end.
std::string_view undecorated(std::string_view text);

std::string_view trimmed(std::string_view text);
std::string lower_case(std::string_view text);  // of ASCII letters

// Whether a text has a character that a reader does not see: control characters other than line breaks and tabs,
// zero-width characters, direction marks, variation selectors, tags, or bytes that are not UTF-8.
bool has_hidden_text(std::string_view text);

// Reads the final answers of a text with `read`, and compares what they say with the reference. `read` maps a final
// answer to an object with the members `problem` (an AnswerOutcome; kRight: it was read) and `value`. `compare` maps
// two such values to an outcome.
template <class Value, class Read, class Compare>
AnswerOutcome judge_answers(std::string_view text, const Value& reference, const Read& read, const Compare& compare) {
  const FinalAnswers found = find_final_answers(text);
  if (found.problem != AnswerOutcome::kRight) return found.problem;
  const auto first = read(undecorated(found.texts[0]));
  if (first.problem == AnswerOutcome::kUnreadable && !found.marked) return AnswerOutcome::kNoAnswer;
  if (first.problem != AnswerOutcome::kRight) return first.problem;
  for (size_t i = 1; i < found.texts.size(); ++i) {
    const auto other = read(undecorated(found.texts[i]));
    if (other.problem != AnswerOutcome::kRight) return other.problem;
    if (compare(other.value, first.value) != AnswerOutcome::kRight) return AnswerOutcome::kSeveralAnswers;
  }
  return compare(reference, first.value);
}

}  // namespace terse::rl
