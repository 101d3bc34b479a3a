// How fast a model trains and generates on this machine.
#pragma once

#include <torch/types.h>

#include <cstdint>

#include "configs/run_config.h"
#include "trainer/model/spec.h"

namespace terse::launch::bench {

// The whole of an update by AdamW: forward, backward, optimizer.
struct TrainingShape {
  int64_t sequences = 0;  // of an update, in one pass
  int64_t tokens = 0;     // of each
};
struct TrainingSpeed {
  double seconds = 0;  // of an update
  double tokens_per_second = 0;
  double flops = 0;  // floating-point operations per second (plan::flops_per_token)
};
TrainingSpeed measure_training(const trainer::ModelSpec& spec, torch::Device device, const TrainingShape& shape,
                               double seconds);

// Responses of one length to random prompts of one length; nothing ends a response early.
struct GenerationShape {
  int64_t sequences = 0;  // decoded together
  int64_t prompts = 0;    // different ones among them; the samples of a prompt follow one another
  int64_t prompt_tokens = 0, new_tokens = 0;
};
struct GenerationSpeed {
  double seconds = 0;            // of all responses, with their prompts
  double tokens_per_second = 0;  // new tokens
  double step_seconds = 0;       // one new token of every sequence, without the prompts
  double weight_bytes = 0;       // read in a step
  double flops = 0;              // floating-point operations of a step
};
GenerationSpeed measure_generation(const trainer::ModelSpec& spec, torch::Device device, const GenerationShape& shape,
                                   double seconds);

}  // namespace terse::launch::bench
