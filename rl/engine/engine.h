// Generation with continuous batching: sequences join and leave the running batch at every step. The engine maps token
// ids to token ids and knows no task.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "base/philox.h"
#include "rl/engine/decoder.h"
#include "rl/engine/sampler.h"
#include "rl/types.h"
#include "trainer/signal_poll.h"

namespace terse::rl {

// How all requests of one engine are sampled.
struct SamplingOptions {
  trainer::LogitTransform transform;
  int64_t max_new_tokens = 0;  // responses are cut at this length (FinishReason::kLength)
  int32_t end_token = -1;      // stops a sequence and is part of it; -1: none
  uint64_t seed = 0;
  RandomStream stream = RandomStream::kSample;
};

struct GenerationRequest {
  std::vector<int32_t> prompt;  // not empty
  int64_t problem = 0;          // with sample and position, the key of the random numbers
  int64_t sample = 0;
};

struct Completion {
  std::vector<int32_t> tokens;    // the end token included
  std::vector<float> logprobs;    // of each token, after the logit transform
  std::vector<float> entropies;   // of each distribution sampled from, nats
  std::vector<int64_t> versions;  // of the weights that sampled each token; ascending
  FinishReason finish = FinishReason::kStop;
};

class Engine {
 public:
  // Shares `model`. At most `max_batch` sequences decode together; in fp32 on the CPU this number changes no token.
  // generate() polls `signals`, if given, every few steps. Both must outlive the engine.
  Engine(trainer::Transformer& model, int64_t max_batch, trainer::SignalPoll* signals = nullptr);

  const trainer::Transformer& model() const { return model_; }

  // Reads the model's changed weights; tokens that are sampled from now on carry `version`. Sequences in progress
  // continue. Their keys and values are recomputed, so that every token comes exactly from the distribution of its
  // version's weights.
  void refresh(int64_t version);

  // Runs all requests to completion; the i-th completion belongs to the i-th request. Consecutive requests with equal
  // prompts share one pass over the prompt. Throws std::invalid_argument when a prompt is empty, or when a prompt plus
  // max_new_tokens exceeds the context. Must not be called while other sequences are in progress. With `signals`, the
  // call is collective over their world: each rank passes its own requests, possibly none. After trainer::StopRequested
  // the engine must not be used again, because requests are left unfinished.
  std::vector<Completion> generate(const std::vector<GenerationRequest>& requests, const SamplingOptions& options);

  // The same in small steps: call set_sampling() first, then submit() and step() in any order.
  void set_sampling(const SamplingOptions& options);  // requires that the engine is idle
  int64_t submit(GenerationRequest request);          // returns its ticket: 0, 1, 2, ..
  struct Finished {
    int64_t ticket = 0;
    Completion completion;
  };
  // Admits waiting sequences to free slots and samples their first tokens. Then samples one token for each sequence in
  // progress. Returns the sequences that have finished.
  std::vector<Finished> step();
  void cancel(int64_t ticket);  // no effect when it has finished
  // The version of the weights that sampled the first token of a sequence in progress; empty while it has none.
  std::optional<int64_t> first_version(int64_t ticket) const;
  bool idle() const { return waiting_.empty() && live_.empty(); }

 private:
  struct Sequence {
    int64_t ticket = 0;
    GenerationRequest request;
    Completion completion;
    int64_t slot = -1;
    // The position of the newest token, which has been sampled but not run through the model.
    int64_t position() const { return static_cast<int64_t>(request.prompt.size() + completion.tokens.size()) - 1; }
    int64_t token(int64_t position) const;  // of prompt and response end to end
  };

  void check(const GenerationRequest& request) const;
  void admit(std::vector<Finished>& finished);
  void decode(std::vector<Finished>& finished);
  void recompute_kv_cache();
  // Samples one token for each sequence from its row of logits. Sequences that end go to `finished`, the others to
  // live_.
  void sample(std::vector<Sequence> sequences, torch::Tensor logits, std::vector<Finished>& finished);

  trainer::Transformer& model_;
  trainer::SignalPoll* signals_;
  std::unique_ptr<Decoder> decoder_;
  SamplingOptions options_;
  std::vector<int64_t> free_slots_;
  std::deque<Sequence> waiting_;
  std::vector<Sequence> live_;
  int64_t next_ticket_ = 0;
  int64_t version_ = 0;
};

}  // namespace terse::rl
