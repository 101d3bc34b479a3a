// Generation with continuous batching: sequences join and leave the running batch at every step. Token ids in, token
// ids out.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "data/philox.h"
#include "rl/engine/decoder.h"
#include "rl/engine/sampler.h"
#include "rl/types.h"

namespace terse::rl {

// How all requests of one engine are sampled.
struct SamplingOptions {
  trainer::LogitTransform transform;
  int64_t max_new_tokens = 0;  // cut here, FinishReason::kLength
  int32_t end_token = -1;      // stops a sequence and is part of it; -1: none
  uint64_t seed = 0;
  data::RandomStream stream = data::RandomStream::kSample;
};

struct GenerationRequest {
  std::vector<int32_t> prompt;  // not empty
  int64_t problem = 0;          // with sample and position, the key of the random numbers
  int64_t sample = 0;
};

struct Completion {
  std::vector<int32_t> tokens;   // the end token included
  std::vector<float> logprobs;   // of each token, after the logit transform
  std::vector<float> entropies;  // of each distribution sampled from, nats
  FinishReason finish = FinishReason::kStop;
  int64_t weight_version = 0;
};

class Engine {
 public:
  // Shares `model`, which must outlive the engine. `max_batch` sequences decode together; their number changes no
  // token.
  Engine(trainer::Transformer& model, int64_t max_batch);

  const trainer::Transformer& model() const { return model_; }

  // The model's weights have changed; completions carry `version` from now on.
  void refresh(int64_t version);

  // Runs all requests to their ends; the i-th completion belongs to the i-th request. Requests with equal prompts that
  // follow each other share one pass over the prompt. Throws std::invalid_argument when a prompt plus max_new_tokens
  // exceeds the context.
  std::vector<Completion> generate(const std::vector<GenerationRequest>& requests, const SamplingOptions& options);

 private:
  struct Sequence {
    size_t request = 0;
    int64_t slot = 0;
    int64_t position = 0;  // of the next token to run
    int64_t token = 0;     // the next token to run
  };
  struct Job {
    const std::vector<GenerationRequest>& requests;
    const SamplingOptions& options;
    std::vector<Completion> completions;
    size_t next = 0;  // first request that has not been admitted
    std::vector<Sequence> live;
  };

  void check(const std::vector<GenerationRequest>& requests, const SamplingOptions& options) const;
  void admit(Job& job);
  void decode(Job& job);
  // Samples one token for each sequence from its logits row and drops the finished ones.
  void sample(Job& job, std::vector<Sequence> sequences, torch::Tensor logits);

  trainer::Transformer& model_;
  std::unique_ptr<Decoder> decoder_;
  std::vector<int64_t> free_slots_;
  int64_t version_ = 0;
};

}  // namespace terse::rl
