// Compiles with limits on nesting and size, and matches with a limit on steps, because a pattern comes from a file.
#include "data/tokenizers/split/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "data/tokenizers/split/pattern_syntax.h"

namespace terse::data {

namespace {

constexpr size_t kMaxPatternBytes = 8 << 10;
constexpr uint32_t kMaxNesting = 64;
// The patterns of real tokenizers take a few steps for each byte of a match. A pattern that backtracks exponentially
// reaches the limit in a fraction of a second.
constexpr size_t kMaxSteps = 1'000'000;
constexpr size_t kMaxStepsForByte = 8;
constexpr size_t kFirstStack = 32 << 10;
constexpr size_t kMaxStack = 8 << 20;  // bytes for the positions to return to

template <typename T, void (*kFree)(T*)>
struct Free {
  void operator()(T* object) const { kFree(object); }
};
using CompileContext = std::unique_ptr<pcre2_compile_context, Free<pcre2_compile_context, pcre2_compile_context_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Free<pcre2_match_context, pcre2_match_context_free>>;
using MatchData = std::unique_ptr<pcre2_match_data, Free<pcre2_match_data, pcre2_match_data_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Free<pcre2_jit_stack, pcre2_jit_stack_free>>;

template <typename Pointer>
Pointer allocated(Pointer pointer) {
  if (!pointer) throw std::bad_alloc();
  return pointer;
}

PCRE2_SPTR units(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

std::string describe(int error) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(error, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct Pattern::Code {
  std::unique_ptr<pcre2_code, Free<pcre2_code, pcre2_code_free>> compiled;
};

struct Matcher::State {
  MatchContext context;
  MatchData data;
  JitStack stack;
};

Pattern::Pattern(std::string_view pattern, Syntax syntax) : code_(std::make_unique<Code>()) {
  if (pattern.size() > kMaxPatternBytes) {
    throw std::invalid_argument(
        fmt::format("the pattern has {} bytes, but at most {} are allowed", pattern.size(), kMaxPatternBytes));
  }
  const bool literal = syntax == Syntax::kLiteral;
  TranslatedPattern translated;
  if (!literal) translated = translate_pattern(pattern);
  looks_back_ = translated.looks_back;
  const std::string_view text = literal ? pattern : std::string_view(translated.text);
  const CompileContext context = allocated(CompileContext(pcre2_compile_context_create(nullptr)));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), kMaxNesting);
  const uint32_t options = PCRE2_UTF | (literal ? PCRE2_LITERAL : PCRE2_UCP);
  int error = 0;
  size_t offset = 0;
  code_->compiled.reset(pcre2_compile(units(text), text.size(), options, &error, &offset, context.get()));
  if (!code_->compiled) throw std::invalid_argument(fmt::format("PCRE2 refuses the pattern: {}", describe(error)));
  uint32_t empty = 0;
  pcre2_pattern_info(code_->compiled.get(), PCRE2_INFO_MATCHEMPTY, &empty);
  if (empty != 0 || text.empty()) throw std::invalid_argument("the pattern can match the empty text");
  // Where there is no just-in-time compiler, pcre2_match() interprets the pattern.
  pcre2_jit_compile(code_->compiled.get(), PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
}

Pattern::~Pattern() = default;

Matcher::Matcher(const Pattern& pattern) : pattern_(pattern), state_(std::make_unique<State>()) {
  state_->context = allocated(MatchContext(pcre2_match_context_create(nullptr)));
  state_->data = allocated(MatchData(pcre2_match_data_create(1, nullptr)));
}

Matcher::~Matcher() = default;

Matcher::Outcome Matcher::find(std::string_view text, size_t from, End end) {
  const uint32_t options = PCRE2_NO_UTF_CHECK | (end == End::kOpen ? PCRE2_PARTIAL_HARD : 0);
  const size_t steps = kMaxSteps + kMaxStepsForByte * (text.size() - from);
  pcre2_set_match_limit(state_->context.get(), static_cast<uint32_t>(std::min<size_t>(steps, UINT32_MAX)));
  const auto match = [&] {
    return pcre2_match(pattern_.code_->compiled.get(), units(text), text.size(), from, options, state_->data.get(),
                       state_->context.get());
  };
  int result = match();
  if (result == PCRE2_ERROR_JIT_STACKLIMIT && !state_->stack) {
    state_->stack = allocated(JitStack(pcre2_jit_stack_create(kFirstStack, kMaxStack, nullptr)));
    pcre2_jit_stack_assign(state_->context.get(), nullptr, state_->stack.get());
    result = match();
  }
  if (result == PCRE2_ERROR_NOMATCH) return Outcome::kNone;
  const size_t* offsets = pcre2_get_ovector_pointer(state_->data.get());
  if (result >= 0 || result == PCRE2_ERROR_PARTIAL) {
    begin_ = offsets[0];
    end_ = offsets[1];
    return result >= 0 ? Outcome::kMatch : Outcome::kOpen;
  }
  if (result == PCRE2_ERROR_NOMEMORY) throw std::bad_alloc();
  if (result == PCRE2_ERROR_MATCHLIMIT || result == PCRE2_ERROR_JIT_STACKLIMIT || result == PCRE2_ERROR_HEAPLIMIT ||
      result == PCRE2_ERROR_DEPTHLIMIT) {
    return Outcome::kTooHard;
  }
  throw std::logic_error(fmt::format("PCRE2: {}", describe(result)));
}

}  // namespace terse::data
