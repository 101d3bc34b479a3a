// Packs token sequences into a Batch for supervised fine-tuning and RL, and slices a Batch into micro-batches.
#pragma once

#include <span>
#include <vector>

#include "data/batch.h"

namespace terse::data {

// weights[i] is the loss weight of tokens[i] as a target: 0 in the prompt, e.g. 1 in the response. weights[0] must be
// 0, because nothing predicts the first token.
struct Sequence {
  std::vector<int32_t> tokens;
  std::vector<float> weights;
};

// Returns the prompt with weight 0 and then the response with `weight`. Throws std::invalid_argument when the prompt is
// empty.
Sequence prompt_and_response(std::span<const int32_t> prompt, std::span<const int32_t> response, float weight = 1);

// Packs each sequence as one segment, in order. Within the segment that starts at b:
//   tokens[b + i] = sequence.tokens[i]
//   targets[b + i] = sequence.tokens[i + 1], or 0 where the weight is 0
//   weights[b + i] = sequence.weights[i + 1]
// The last token of a segment has target 0 and weight 0. So the j-th response token (from 0) of a prompt of P tokens is
// scored at b + P + j - 1. Throws std::invalid_argument that names the sequence when it has no token, a negative id, or
// weights that do not fit.
Batch pack(const std::vector<Sequence>& sequences);

// A prompt and responses to it. Sampled text and text that something else wrote may alternate in a response.
struct SharedPrompt {
  struct Response {
    std::span<const int32_t> tokens;
    std::vector<float> weights;  // of each token as a target
  };
  std::span<const int32_t> prompt;
  std::vector<Response> responses;
};

// Packs each prompt as one sequence: the prompt without its last token is the prefix of all responses. Each response is
// a segment that begins with the last token of the prompt, and leaves out its own last token, which predicts nothing.
// So row i of a response of R tokens predicts its token i, and the sequence of a prompt of P tokens has P - 1 rows and
// R more for each response. Throws std::invalid_argument that names the prompt when it or a response has no token, a
// negative id, or weights that do not fit.
Batch pack_shared(const std::vector<SharedPrompt>& prompts);

// Concatenates batches in order. There must be at least one.
Batch concatenate(const std::vector<Batch>& batches);

// Throws std::invalid_argument unless 0 <= begin <= end <= sequences, the number of sequences of a batch.
void require_range(int64_t begin, int64_t end, int64_t sequences);

// Returns the sequences [begin, end) of a batch. Its token tensors are views of those of the batch.
Batch slice(const Batch& batch, int64_t begin, int64_t end);

}  // namespace terse::data
