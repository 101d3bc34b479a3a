// Uses the interpreter of PCRE2 and not its JIT compiler, because a pattern meets each answer once.
#include "rl/tasks/answers/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <memory>
#include <new>

#include "rl/tasks/answers/exact.h"
#include "rl/tasks/answers/final_answer.h"

namespace terse::rl {

namespace {

constexpr size_t kMaxPattern = 4096;     // bytes
constexpr uint32_t kMaxNesting = 50;     // brackets in brackets
constexpr uint32_t kMaxSteps = 200'000;  // of a match
constexpr uint32_t kMaxDepth = 10'000;   // backtracking points at once
constexpr uint32_t kMaxHeap = 8 * 1024;  // KiB

template <class T>
std::unique_ptr<T, void (*)(T*)> owned(T* made, void (*free)(T*)) {
  if (made == nullptr) throw std::bad_alloc();
  return {made, free};
}

struct Pattern {
  std::unique_ptr<pcre2_code, void (*)(pcre2_code*)> code = {nullptr, pcre2_code_free};
  std::string problem = {};
};

Pattern compile(const std::string& text) {
  if (text.size() > kMaxPattern)
    return {.problem = fmt::format("the pattern has {} bytes; expected at most {}", text.size(), kMaxPattern)};
  const auto context = owned(pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  pcre2_set_parens_nest_limit(context.get(), kMaxNesting);
  constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_BACKSLASH_C;
  int error = 0;
  PCRE2_SIZE at = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), kOptions, &error, &at, context.get());
  if (code != nullptr) return {.code = {code, pcre2_code_free}};
  PCRE2_UCHAR message[256] = {};
  pcre2_get_error_message(error, message, sizeof message);
  return {.problem = fmt::format("the pattern cannot be used, from byte {} on: {}", at,
                                 reinterpret_cast<const char*>(message))};
}

AnswerOutcome match(const Pattern& pattern, std::string_view text) {
  const auto context = owned(pcre2_match_context_create(nullptr), pcre2_match_context_free);
  pcre2_set_match_limit(context.get(), kMaxSteps);
  pcre2_set_depth_limit(context.get(), kMaxDepth);
  pcre2_set_heap_limit(context.get(), kMaxHeap);
  const auto found = owned(pcre2_match_data_create_from_pattern(pattern.code.get(), nullptr), pcre2_match_data_free);
  const int result = pcre2_match(pattern.code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0,
                                 found.get(), context.get());
  if (result >= 0) return AnswerOutcome::kRight;
  return result == PCRE2_ERROR_NOMATCH ? AnswerOutcome::kOtherValue : AnswerOutcome::kUndecided;
}

struct ReadText {
  AnswerOutcome problem = AnswerOutcome::kRight;
  std::string_view value = {};
};

}  // namespace

std::string problem_of_regex(const AnswerReference& reference) {
  const Pattern pattern = compile(reference.answer);
  if (!pattern.problem.empty()) return pattern.problem;
  return match(pattern, "") == AnswerOutcome::kOtherValue ? "" : "the pattern matches an empty answer";
}

AnswerOutcome check_regex(const AnswerReference& reference, std::string_view answer) {
  const Pattern pattern = compile(reference.answer);
  if (!pattern.problem.empty()) return AnswerOutcome::kUndecided;
  constexpr std::string_view kPattern = {};  // stands for the pattern; answers are not empty
  return judge_answers(
      answer, kPattern, [](std::string_view text) { return ReadText{.value = text}; },
      [&](std::string_view left, std::string_view right) {
        if (left.data() == nullptr) return match(pattern, right);
        return normalised_text(left) == normalised_text(right) ? AnswerOutcome::kRight : AnswerOutcome::kOtherValue;
      });
}

}  // namespace terse::rl
