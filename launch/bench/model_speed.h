// How fast a model trains and generates on this machine.
#pragma once

#include "launch/bench/workload.h"

namespace terse::launch::bench {

struct TrainingSpeed {
  double seconds = 0;  // of an update
  double tokens_per_second = 0;
  double flops = 0;  // floating-point operations per second (trainer/speed/flops.h)
};
TrainingSpeed measure_training(const trainer::ModelSpec& spec, torch::Device device, const TrainingShape& shape,
                               double seconds);

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
