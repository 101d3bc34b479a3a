// Finds the matches of a regular expression of a tokenizer file, with PCRE2 and its just-in-time compiler.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace terse::data {

// A compiled pattern is immutable, so any number of threads may use it, each with a Matcher of its own.
class Pattern {
 public:
  enum class Syntax { kRegex, kLiteral };

  // Throws std::invalid_argument that says what is wrong: the pattern is longer than 8 KiB, uses something that
  // translate_pattern() does not support, does not compile, or can match the empty text.
  Pattern(std::string_view pattern, Syntax syntax);
  ~Pattern();
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  // Whether a match depends on what stands before it.
  bool looks_back() const { return looks_back_; }

 private:
  friend class Matcher;
  struct Code;
  std::unique_ptr<Code> code_;
  bool looks_back_ = false;
};

class Matcher {
 public:
  enum class Outcome {
    kMatch,    // [begin, end) is the first match at or after `from`
    kNone,     // there is none
    kOpen,     // only with End::kOpen: the first match depends on what follows the text, and starts at `begin`
    kTooHard,  // the search took more than the permitted steps
  };
  // Whether the text ends, or may go on.
  enum class End { kFixed, kOpen };

  explicit Matcher(const Pattern& pattern);
  ~Matcher();
  Matcher(const Matcher&) = delete;
  Matcher& operator=(const Matcher&) = delete;

  // `text` must be UTF-8, and `from` the start of a character.
  Outcome find(std::string_view text, size_t from, End end = End::kFixed);
  size_t begin() const { return begin_; }
  size_t end() const { return end_; }

 private:
  struct State;
  const Pattern& pattern_;
  std::unique_ptr<State> state_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace terse::data
