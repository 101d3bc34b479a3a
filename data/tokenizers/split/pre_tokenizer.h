// Cuts text into the pieces that a BPE model encodes one by one, such as words with the space before them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizers/split/pattern.h"

namespace terse::data {

// A pattern takes too many steps on a text.
class PatternError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

// A step does one of these things with its matches. The names are those of tokenizer.json.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct SplitStep {
  std::shared_ptr<const Pattern> pattern;  // null: the characters of category N
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;        // what lies between the matches counts as the matches
  bool prefix_space = false;  // first puts a space before a piece that begins with none
  bool whole = false;         // only prefix_space: the piece is not cut
};

// Each step cuts the pieces of the step before. A PreTokenizer is immutable, so any number of threads may use it.
class PreTokenizer {
 public:
  PreTokenizer() = default;
  explicit PreTokenizer(std::vector<SplitStep> steps) : steps_(std::move(steps)) {}

  // Calls `use` with every piece, in order. Pieces are not empty. `text` must be UTF-8. Throws PatternError.
  void split(std::string_view text, const std::function<void(std::string_view)>& use) const;

  // Returns the largest n that can be found with these properties, or 0: `good(n)` holds, and however the text goes
  // on, the pieces of all of it are those of text[0, n) and those of what begins at n. Throws PatternError.
  size_t last_boundary(std::string_view text, const std::function<bool(size_t)>& good) const;

 private:
  std::vector<SplitStep> steps_;
};

}  // namespace terse::data
