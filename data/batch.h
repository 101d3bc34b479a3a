// The one tensor bundle that all stages trade: packed token sequences of any lengths, without padding.
//
// The target rule, everywhere: targets[i] is the token that follows tokens[i] in its own sequence, and weights[i] is
// the weight of predicting it. So tokens and targets are shifted by one against each other, and what the model puts out
// at i is scored there.
#pragma once

#include <torch/types.h>

namespace terse::data {

// N tokens of B sequences laid end to end: windows of a corpus, or prompts with their responses. A sequence is what is
// shared out among ranks and micro-batches, and what gradients are summed over. It is made of one or more segments, the
// documents in a window; attention never crosses a segment.
struct Batch {
  torch::Tensor tokens;     // [N] int64
  torch::Tensor positions;  // [N] int64, position of the token inside its segment (RoPE); 0 at each segment start
  torch::Tensor segments;   // [S + 1] int32, where each segment starts, strictly ascending; the last entry is N
  torch::Tensor sequences;  // [B + 1] int32, where each sequence starts: some of the segments' starts, and N
  torch::Tensor targets;    // [N] int64, the token to predict; 0 where weights is 0
  torch::Tensor weights;    // [N] float32, weight of the token's loss; 0: no loss

  int64_t token_count() const { return tokens.size(0); }
  int64_t segment_count() const { return segments.size(0) - 1; }
  int64_t sequence_count() const { return sequences.size(0) - 1; }

  // Of ascending rows [M] int64: the first of each sequence's, then M; int32 [B + 1].
  torch::Tensor sequences_of(const torch::Tensor& rows) const {
    return torch::searchsorted(rows, sequences.to(torch::kInt64), /*out_int32=*/true);
  }

  // The same batch on another device; shares memory when it is there already.
  Batch to(const torch::Device& device) const {
    return {tokens.to(device),    positions.to(device), segments.to(device),
            sequences.to(device), targets.to(device),   weights.to(device)};
  }
};

}  // namespace terse::data
