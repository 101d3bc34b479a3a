// Sequences of tokens to a Batch, for supervised fine-tuning and RL, and a Batch to micro-batches.
#pragma once

#include <span>
#include <vector>

#include "data/batch.h"

namespace terse::data {

// weights[i] belongs to tokens[i] as a token to be predicted: 0 for the prompt, 1 (say) for the response. weights[0]
// must be 0: nothing predicts the first token.
struct Sequence {
  std::vector<int32_t> tokens;
  std::vector<float> weights;
};

// Prompt with weight 0, response with `weight`. Throws std::invalid_argument when the prompt is empty.
Sequence prompt_and_response(std::span<const int32_t> prompt, std::span<const int32_t> response, float weight = 1);

// One segment per sequence, in order. Within the segment that starts at b:
//   tokens[b + i] = sequence.tokens[i], targets[b + i] = sequence.tokens[i + 1], weights[b + i] = sequence.weights[i +
//   1];
// the last token of a segment has target 0 and weight 0. So the j-th response token of a prompt of P tokens is scored
// at b + P + j - 1. Throws std::invalid_argument naming the sequence when it has no token, a negative id, or weights
// that do not fit.
Batch pack(const std::vector<Sequence>& sequences);

// Values that belong to tokens (advantages, recorded log-probs), laid out like the targets of pack(): out[b + i] =
// values[s][i + 1], 0 at the last token of each segment. [N] float32.
torch::Tensor pack_values(const std::vector<std::vector<float>>& values);

// Batches end to end, in order. At least one.
Batch concatenate(const std::vector<Batch>& batches);

// Throws std::invalid_argument unless 0 <= begin <= end <= sequences, which is how many a batch has.
void require_range(int64_t begin, int64_t end, int64_t sequences);

// The sequences [begin, end) of a batch; the token tensors are views of the batch's.
Batch slice(const Batch& batch, int64_t begin, int64_t end);

}  // namespace terse::data
