// Cuts a range of tokens into windows, and makes batches of them.
//
// Window w reads the inputs [first + (w - 1) * seq_len, first + w * seq_len) of the range, clipped to its ends. The
// last token of the range is no input, because it has nothing to predict. The target of each input is the next token,
// even across the end of a window. So over all windows each token is a target exactly once, except the first token of
// each document and of the range. Each document in a window is its own segment, and the last input of a document has
// weight 0.
#pragma once

#include <vector>

#include "data/batch.h"
#include "data/store/token_source.h"

namespace terse::data {

class Windows {
 public:
  // `first` (1..seq_len) is the length of the first window, which shifts all cuts. Throws std::invalid_argument when
  // the range is shorter than two tokens or a number is out of its range.
  Windows(TokenRange range, int64_t seq_len, int64_t first);

  int64_t count() const { return count_; }
  // Packs the given windows in order, each as one sequence. N <= windows * seq_len tokens, S >= windows segments.
  Batch batch(const std::vector<int64_t>& windows) const;

 private:
  struct Span {
    int64_t begin, end;  // inputs, as positions in the source
  };
  Span span(int64_t window) const;

  TokenRange range_;
  int64_t seq_len_;
  int64_t first_;
  int64_t count_;
};

}  // namespace terse::data
