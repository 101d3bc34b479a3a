// The two pieces of work that `terse bench` measures: an update of a model, and generation. Both use random weights and
// random tokens, because the time of dense products does not depend on them.
#pragma once

#include <cstdint>
#include <vector>

#include "rl/engine/engine.h"
#include "trainer/optimizer.h"
#include "trainer/speed/flops.h"
#include "trainer/train.h"

namespace terse::launch::bench {

// The whole of an update by AdamW: forward, backward, optimizer.
struct TrainingShape {
  int64_t sequences = 0;  // of an update, in one pass
  int64_t tokens = 0;     // of each
};
class Training {
 public:
  Training(const trainer::ModelSpec& spec, torch::Device device, const TrainingShape& shape);
  void update();
  const trainer::Transformer& model() const { return model_; }
  trainer::TokenWork work() const;  // of an update

 private:
  trainer::Transformer model_;
  trainer::AdamW optimizer_;
  TrainingShape shape_;
  trainer::BatchShare batch_;
};

// Responses of one length to random prompts of one length; nothing ends a response early.
struct GenerationShape {
  int64_t sequences = 0;  // decoded together
  int64_t prompts = 0;    // different ones among them; the samples of a prompt follow one another
  int64_t prompt_tokens = 0, new_tokens = 0;
  trainer::LogitTransform transform = {};
};
class Generation {
 public:
  Generation(const trainer::ModelSpec& spec, torch::Device device, const GenerationShape& shape);
  // Generates responses of `new_tokens` tokens.
  void run(int64_t new_tokens);
  const rl::Engine& engine() const { return engine_; }

 private:
  trainer::Transformer model_;
  rl::Engine engine_;
  std::vector<rl::GenerationRequest> requests_;
};

}  // namespace terse::launch::bench
