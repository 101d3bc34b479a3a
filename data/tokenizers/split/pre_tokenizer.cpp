// Runs the steps depth first: a piece goes through all further steps before the next piece is cut off.
#include "data/tokenizers/split/pre_tokenizer.h"

#include <algorithm>
#include <memory>

#include "base/utf8.h"
#include "data/tokenizers/split/unicode_tables.h"

namespace terse::data {

namespace {

struct Span {
  size_t begin;
  size_t end;
  bool is_match;
};

// Finds the next match of a step, whether a pattern or a number.
class Finder {
 public:
  // `matcher` is null for numbers.
  Finder(Matcher* matcher, std::string_view text) : matcher_(matcher), text_(text) {}

  Matcher::Outcome find(size_t from, Matcher::End end = Matcher::End::kFixed) {
    if (matcher_) {
      const Matcher::Outcome outcome = matcher_->find(text_, from, end);
      if (outcome == Matcher::Outcome::kTooHard) {
        throw PatternError("a pattern of the tokenizer takes too many steps on this text");
      }
      begin_ = matcher_->begin();
      end_ = matcher_->end();
      return outcome;
    }
    for (size_t at = from; at < text_.size(); at = end_) {
      const CodePoint point = first_code_point(text_.substr(at));
      begin_ = at;
      end_ = at + static_cast<size_t>(std::max(point.length, 1));
      if (is_numeric(point.value)) return Matcher::Outcome::kMatch;
    }
    return Matcher::Outcome::kNone;
  }
  size_t begin() const { return begin_; }
  size_t end() const { return end_; }

 private:
  Matcher* matcher_;
  std::string_view text_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// Calls `use` with the matches and with what lies between them.
template <typename Use>
void for_each_span(const SplitStep& step, Matcher* matcher, std::string_view text, const Use& use) {
  Finder finder(matcher, text);
  size_t at = 0;
  while (at < text.size() && finder.find(at) == Matcher::Outcome::kMatch) {
    if (finder.begin() > at) use(Span{at, finder.begin(), step.invert});
    use(Span{finder.begin(), finder.end(), !step.invert});
    at = finder.end();
  }
  if (at < text.size()) use(Span{at, text.size(), step.invert});
}

// Joins neighbours as the behaviour says. The rules are those of NormalizedString::split in the `tokenizers` library.
std::vector<Span> merged(const SplitStep& step, Matcher* matcher, std::string_view text) {
  std::vector<Span> spans;
  for_each_span(step, matcher, text, [&](const Span& span) { spans.push_back(span); });
  const bool backwards = step.behavior == SplitBehavior::kMergedWithNext;
  if (backwards) std::reverse(spans.begin(), spans.end());
  std::vector<Span> joined;
  bool last_was_match = false;
  for (const Span& span : spans) {
    const bool join = step.behavior == SplitBehavior::kContiguous ? span.is_match == last_was_match
                                                                  : span.is_match && !last_was_match;
    last_was_match = span.is_match;
    if (join && !joined.empty()) {
      (backwards ? joined.back().begin : joined.back().end) = backwards ? span.begin : span.end;
    } else {
      joined.push_back(span);
    }
  }
  if (backwards) std::reverse(joined.begin(), joined.end());
  return joined;
}

class Run {
 public:
  Run(const std::vector<SplitStep>& steps, const std::function<void(std::string_view)>& use)
      : steps_(steps), use_(use) {
    for (const SplitStep& step : steps) {
      matchers_.push_back(step.pattern ? std::make_unique<Matcher>(*step.pattern) : nullptr);
    }
  }

  void piece(size_t index, std::string_view text) const {
    if (text.empty()) return;
    if (index == steps_.size()) return use_(text);
    const SplitStep& step = steps_[index];
    if (step.prefix_space && text[0] != ' ') {
      const std::string prefixed = " " + std::string(text);
      return cut(index, prefixed);
    }
    cut(index, text);
  }

 private:
  void cut(size_t index, std::string_view text) const {
    const SplitStep& step = steps_[index];
    const auto pass = [&](const Span& span) { piece(index + 1, text.substr(span.begin, span.end - span.begin)); };
    if (step.whole) return piece(index + 1, text);
    Matcher* const matcher = matchers_[index].get();  // the further steps do not use it
    if (step.behavior == SplitBehavior::kIsolated) return for_each_span(step, matcher, text, pass);
    if (step.behavior == SplitBehavior::kRemoved) {
      return for_each_span(step, matcher, text, [&](const Span& span) {
        if (!span.is_match) pass(span);
      });
    }
    for (const Span& span : merged(step, matcher, text)) pass(span);
  }

  const std::vector<SplitStep>& steps_;
  const std::function<void(std::string_view)>& use_;
  std::vector<std::unique_ptr<Matcher>> matchers_;  // one for each step; null where the step has no pattern
};

bool cuts_alone(const SplitStep& step) {
  return !step.prefix_space && (step.behavior == SplitBehavior::kIsolated || step.behavior == SplitBehavior::kRemoved);
}

}  // namespace

void PreTokenizer::split(std::string_view text, const std::function<void(std::string_view)>& use) const {
  Run(steps_, use).piece(0, text);
}

// After each step, [begin, end) is the part of the text of which the step has not decided how its first piece ends:
// no match begins in it. The next step cuts it further. A pattern that looks back could tell whether it starts anew, so
// it leaves no boundary.
size_t PreTokenizer::last_boundary(std::string_view text, const std::function<bool(size_t)>& good) const {
  size_t boundary = 0;
  size_t begin = 0;
  size_t end = text.size();
  for (const SplitStep& step : steps_) {
    if (!cuts_alone(step) || (step.pattern && step.pattern->looks_back())) return 0;
  }
  const auto found = [&](size_t at) {
    if (at > boundary && at < text.size() && good(at)) boundary = at;
  };
  for (const SplitStep& step : steps_) {
    if (step.whole) continue;
    const auto matcher = step.pattern ? std::make_unique<Matcher>(*step.pattern) : nullptr;
    Finder finder(matcher.get(), text.substr(0, end));
    Matcher::Outcome outcome = Matcher::Outcome::kNone;
    while (begin < end && (outcome = finder.find(begin, Matcher::End::kOpen)) == Matcher::Outcome::kMatch) {
      found(finder.begin());
      found(finder.end());
      begin = finder.end();
    }
    if (outcome == Matcher::Outcome::kOpen) end = finder.begin();
  }
  return boundary;
}

}  // namespace terse::data
