// Dropout of the inputs of adapters (Srivastava et al., "Dropout", 2014), as LoRA uses it in training.
//
// Every number of a mask is a function of its place alone: the update, the block, the projection, the sequence of the
// batch of all ranks, the token in its sequence, and the element. So a mask depends neither on how a batch is split nor
// on the device, and a block that runs again in the backward pass draws the same mask.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "data/batch.h"

namespace terse::trainer {

struct DropoutKey {
  uint64_t seed = 0;    // of the run
  uint64_t update = 0;  // below 2^32: updates of the run before this one
};

// The place of a mask in the model.
struct DropoutPlace {
  int64_t layer = 0;       // below 2^24
  int64_t projection = 0;  // Adapter::number
};

// Returns the mask for the rows of a batch, [N, width] fp32 on the batch's device: 0 with probability `rate`, else 1 /
// (1 - rate). A batch of all ranks may have up to 2^20 sequences of up to 2^24 tokens, and rows up to 2^22 elements.
torch::Tensor dropout_mask(const data::Batch& batch, int64_t width, double rate, const DropoutKey& key,
                           const DropoutPlace& place);

}  // namespace terse::trainer
