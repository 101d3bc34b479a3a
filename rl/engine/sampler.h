// Samples tokens from logits. The same logits and the same (seed, stream, problem, sample, position) give the same
// token, whatever else is in the batch.
#pragma once

#include <cstdint>
#include <vector>

#include "base/philox.h"
#include "trainer/model/logit_transform.h"

namespace terse::rl {

// Coordinates of one random draw.
struct DrawKey {
  uint64_t seed = 0;
  RandomStream stream = RandomStream::kSample;
  int64_t problem = 0;
  int64_t sample = 0;    // below 2^24
  int64_t position = 0;  // of the drawn token in its response
};

struct Draw {
  int64_t token = 0;
  float logprob = 0;  // of the token under the transformed distribution
  float entropy = 0;  // of that distribution, nats
};

// Draws one token per row of logits [rows, vocab] (overwritten), by inverting the cumulative distribution in vocabulary
// order. Throws DivergedError when a row is not finite.
std::vector<Draw> sample_rows(float* logits, int64_t rows, int64_t vocab, const trainer::LogitTransform& transform,
                              const std::vector<DrawKey>& keys);

}  // namespace terse::rl
