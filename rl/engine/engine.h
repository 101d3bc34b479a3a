// Generation with continuous batching: sequences join and leave the running batch at every step. Token ids in, token
// ids out.
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
  int64_t max_new_tokens = 0;  // cut here, FinishReason::kLength
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
  std::vector<int64_t> versions;  // of the weights that each token was sampled with; they never fall
  FinishReason finish = FinishReason::kStop;
};

class Engine {
 public:
  // Shares `model`, which must outlive the engine. `max_batch` sequences decode together; their number changes no
  // token. `signals`, when given, is asked every few steps of generate().
  Engine(trainer::Transformer& model, int64_t max_batch, trainer::SignalPoll* signals = nullptr);

  const trainer::Transformer& model() const { return model_; }

  // The model's weights have changed; tokens carry `version` from now on. Sequences under way go on from where they
  // are: their keys and values are computed anew, so that every token is what the weights of its version say.
  void refresh(int64_t version);

  // Runs all requests to their ends; the i-th completion belongs to the i-th request. Requests with equal prompts that
  // follow each other share one pass over the prompt. Throws std::invalid_argument when a prompt plus max_new_tokens
  // exceeds the context. Must not be called while other sequences are under way. With `signals`, all ranks of that
  // world must call it at the same time, each with its own requests, which may be none. After trainer::StopRequested
  // the engine must not be used again, because requests are left unfinished.
  std::vector<Completion> generate(const std::vector<GenerationRequest>& requests, const SamplingOptions& options);

  // The same in small steps: set the options, then submit and step as you like.
  void set_sampling(const SamplingOptions& options);  // not while something is under way
  int64_t submit(GenerationRequest request);          // its ticket: 0, 1, 2, ..
  struct Finished {
    int64_t ticket = 0;
    Completion completion;
  };
  // Admits what there is room for, then samples one token for each sequence under way.
  std::vector<Finished> step();
  void cancel(int64_t ticket);  // nothing when it has finished
  // The weights that sampled the first token of a sequence under way; nothing while it has none.
  std::optional<int64_t> first_version(int64_t ticket) const;
  bool idle() const { return waiting_.empty() && live_.empty(); }

 private:
  struct Sequence {
    int64_t ticket = 0;
    GenerationRequest request;
    Completion completion;
    int64_t slot = -1;
    // Of the newest token, which has been sampled but not run.
    int64_t position() const { return static_cast<int64_t>(request.prompt.size() + completion.tokens.size()) - 1; }
    int64_t token(int64_t position) const;  // of prompt and response
  };

  void check(const GenerationRequest& request) const;
  void admit(std::vector<Finished>& finished);
  void decode(std::vector<Finished>& finished);
  void run_again();
  // Samples one token for each sequence from its logits row and tells which have finished; the others are live.
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
