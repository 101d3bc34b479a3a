// The one tensor bundle that all stages trade: packed token sequences of any lengths, without padding.
#pragma once

#include <torch/types.h>

namespace terse::data {

// N tokens of S segments (documents, or prompt + response) laid end to end. Attention never crosses a segment.
struct Batch {
  torch::Tensor tokens;     // [N] int64
  torch::Tensor positions;  // [N] int64, position of the token inside its sequence (RoPE)
  torch::Tensor segments;   // [S + 1] int32, where each segment starts; the last entry is N
  torch::Tensor targets;    // [N] int64, the token to predict; 0 where weights is 0
  torch::Tensor weights;    // [N] float32, weight of the token's loss; 0: no loss

  int64_t token_count() const { return tokens.size(0); }
  int64_t segment_count() const { return segments.size(0) - 1; }
};

}  // namespace terse::data
