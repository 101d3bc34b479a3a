// Defines the batch that all stages exchange: packed token sequences of any lengths, without padding.
//
// One rule holds everywhere: targets[i] is the token that follows tokens[i] in its own sequence, and weights[i] is the
// loss weight of this target. So targets are shifted by one against tokens, and the model's output at i is scored
// against targets[i].
#pragma once

#include <torch/types.h>

namespace terse::data {

// N tokens of B sequences, concatenated. A sequence is a window of a corpus, a prompt with its response, or a prompt
// with several responses that share it. A batch is split for ranks and micro-batches only between sequences, and
// gradients are summed over sequences. A sequence consists of one or more segments: the documents in a window, or a
// prompt and its responses. A token attends to its own segment, and to the prefix of its segment if there is one.
struct Batch {
  torch::Tensor tokens;     // [N] int64
  torch::Tensor positions;  // [N] int64, position of the token (RoPE): the tokens of its segment and prefix before it
  torch::Tensor segments;   // [S + 1] int32, where each segment starts, strictly ascending; the last entry is N
  torch::Tensor sequences;  // [B + 1] int32, where each sequence starts, a subset of segments; the last entry is N
  torch::Tensor targets;    // [N] int64, the token to predict; 0 where weights is 0
  torch::Tensor weights;    // [N] float32, weight of the token's loss; 0: no loss
  // The place of the first sequence in the batch of all ranks, of which this may be a part. Keys random numbers.
  int64_t first_sequence = 0;
  // [S] int32, the segment that is the prefix of each segment, -1: none. A prefix has no prefix, and the segments that
  // share it follow it in the same sequence. Undefined: no segment has one.
  torch::Tensor prefixes = {};

  int64_t token_count() const { return tokens.size(0); }
  int64_t segment_count() const { return segments.size(0) - 1; }
  int64_t sequence_count() const { return sequences.size(0) - 1; }

  // For ascending rows [M] int64, returns the index of the first row of each sequence, then M. [B + 1] int32.
  torch::Tensor sequences_of(const torch::Tensor& rows) const {
    return torch::searchsorted(rows, sequences.to(torch::kInt64), /*out_int32=*/true);
  }

  // Returns the same batch on another device. It shares memory if it is on that device already.
  Batch to(const torch::Device& device) const {
    return {tokens.to(device),   positions.to(device),
            segments.to(device), sequences.to(device),
            targets.to(device),  weights.to(device),
            first_sequence,      prefixes.defined() ? prefixes.to(device) : prefixes};
  }
};

}  // namespace terse::data
