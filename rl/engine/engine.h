// Generation with continuous batching: sequences join and leave the running batch at every step. The engine maps token
// ids to token ids and knows no task. RL, evaluation and `terse generate` use it in the same way.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "configs/run_config.h"
#include "data/tokenizers/tokenizer.h"
#include "rl/engine/decoder.h"
#include "rl/engine/request.h"
#include "rl/engine/sampler.h"
#include "rl/engine/stop_strings.h"
#include "trainer/signal_poll.h"

namespace terse::rl {

// On the CPU, the default cache takes at most one part in so many of the memory that this process may use.
inline constexpr int64_t kCacheShare = 4;

// On the CPU, no option changes a token.
struct EngineOptions {
  int64_t max_batch = 1;                       // sequences that decode together
  trainer::SignalPoll* signals = nullptr;      // generate() polls it every few steps
  const data::Tokenizer* tokenizer = nullptr;  // needed for stop strings
  // Memory for keys and values, in bytes. 0: as much as max_batch of the longest sequences need, within kCacheShare.
  int64_t kv_cache_bytes = 0;
  // Most tokens of prompts in one forward pass. Longer prompts take several passes, in which other sequences go on.
  int64_t chunked_prefill_size = 4096;
  // Most tokens per step that are guessed for a sequence (ngram_draft.h) and then checked in one pass. On a CPU alone,
  // where the tokens are exactly those without guessing.
  int64_t speculative_tokens = 3;
  // Whether a request finds the keys and values that earlier ones left of its beginning. Samples of one request share
  // them in any case.
  bool prefix_caching = true;
};

// Returns the options of the engine of a run.
EngineOptions engine_options(const configs::Engine& config, trainer::SignalPoll* signals = nullptr);
// Returns the temperature and the cuts of the rollouts of a run.
trainer::LogitTransform logit_transform(const configs::Engine& config);

// Returns the number of pages that an engine with these options has for this model, at least one.
int64_t cache_pages(const trainer::ModelSpec& spec, bool cuda, const EngineOptions& options);

class Engine {
 public:
  // Shares `model`. The model and what the options point to must outlive the engine.
  Engine(trainer::Transformer& model, const EngineOptions& options);

  const trainer::Transformer& model() const { return model_; }

  // Reads the model's changed weights; tokens that are sampled from now on carry `version`. Sequences in progress
  // continue. Their keys and values are recomputed, so that every token comes exactly from the distribution of its
  // version's weights.
  void refresh(int64_t version);

  // Runs all requests to completion and passes each response on when it ends, with the number of its request and of its
  // sample. The order depends on the schedule. Consecutive requests with equal prompts share one pass over the prompt.
  // Throws what submit() throws, before anything is generated. Must not be called while other sequences are in
  // progress. With options.signals, the call is collective over their world: each rank passes its own requests,
  // possibly none. After trainer::StopRequested the engine must not be used again, because requests are left
  // unfinished.
  using OnCompletion = std::function<void(size_t request, int64_t sample, Completion&& completion)>;
  void generate(const std::vector<GenerationRequest>& requests, const OnCompletion& on_completion);
  // Returns the responses, [request][sample].
  std::vector<std::vector<Completion>> generate(const std::vector<GenerationRequest>& requests);

  // The same in small steps. Returns the ticket of the request: 0, 1, 2, .. Throws std::invalid_argument when the
  // prompt is empty, a sampling parameter is out of range, a prompt plus max_new_tokens exceeds the longest sequence or
  // the cache, or stop strings are given to an engine without a tokenizer.
  int64_t submit(GenerationRequest request);
  struct Finished {
    int64_t ticket = 0, sample = 0;
    Completion completion;
  };
  // Admits waiting sequences, and samples at least one token for each sequence in progress whose prompt has run. When
  // the cache is full, the youngest sequences give up their pages and wait; their keys and values are recomputed later.
  // Returns the sequences that have finished.
  std::vector<Finished> step();
  // Appends tokens that the model has not sampled to a response that is in progress or was kept, and lets it continue.
  // It may then sample max_new_tokens more, and a stop string must lie in the tokens that follow. Throws
  // std::invalid_argument, and changes nothing, when there is no such response, `tokens` is empty, or the longest
  // sequence or the cache has no room for them and the new ones.
  void extend(int64_t ticket, int64_t sample, const std::vector<int32_t>& tokens);
  // Ends all samples of a request, also kept ones, without a result. No effect when none is left.
  void cancel(int64_t ticket);
  // The oldest version of the weights that sampled a token of this request's samples in progress; empty: none.
  std::optional<int64_t> oldest_version(int64_t ticket) const;
  bool idle() const { return waiting_.empty() && live_.empty(); }  // nothing is in progress; kept ones do not count

  // Counts what the engine and its cache have done since the engine was made.
  struct Use {
    int64_t bytes = 0;       // of the whole cache
    int64_t used_bytes = 0;  // bytes that sequences use now
    int64_t most_bytes = 0;  // largest number of them
    int64_t preempted = 0;   // sequences that gave up their pages
    int64_t found = 0;       // tokens that were not run, because the cache still had them from other sequences
    int64_t passes = 0;      // forward passes that gave tokens
    int64_t drafted = 0;     // tokens that were guessed
    int64_t accepted = 0;    // of these, the ones that were sampled
  };
  Use use() const;

 private:
  struct Group {
    GenerationRequest request;
    std::vector<std::vector<int32_t>> responses = {};  // finished ones, with their prompt
  };
  struct Sequence {
    int64_t ticket = 0, sample = 0;
    std::shared_ptr<Group> group = {};
    std::vector<int32_t> tokens = {};  // the prompt and everything after it
    PageTable pages = {};
    int64_t cached = 0;               // leading tokens whose keys and values are in the cache
    int64_t left = 0;                 // tokens that it may still sample
    bool follows = false;             // its tokens are those of the sequence before it, which runs them for both
    std::vector<int32_t> draft = {};  // guesses of the next tokens
    int64_t ran = 0;                  // tokens that this step ran, without guesses
    int64_t logits = 0;  // rows that this step computed: for the next token and those after the guesses; 0: prompt runs
    Completion completion = {};
    StopStrings stop = {};

    const GenerationRequest& request() const { return group->request; }
  };

  void check_request(const GenerationRequest& request) const;
  // Throws std::invalid_argument when `tokens` tokens need more than the whole cache.
  void check_cache(int64_t tokens) const;
  void draft();
  void reserve_pages();
  void preempt(Sequence& sequence);
  void admit();
  bool take_pages(Sequence& sequence, const Sequence* leader);
  torch::Tensor run_tokens();
  void note_cached(Sequence& sequence, int64_t cached);
  void recompute_kv_cache();
  // Samples tokens for each sequence from its rows of logits. Sequences that end go to `finished`, the others to live_.
  void sample(std::vector<Sequence> sequences, torch::Tensor logits, std::vector<Finished>& finished);
  // Appends sampled tokens as long as they are the guessed ones, and the one after these. Returns whether the response
  // has ended.
  bool append_all(Sequence& sequence, const Draw* draws);
  // Appends a sampled token. Returns whether it ends the response.
  bool append(Sequence& sequence, const Draw& draw);

  trainer::Transformer& model_;
  EngineOptions options_;
  KvPages pages_;
  std::unique_ptr<Decoder> decoder_;
  std::deque<Sequence> waiting_;
  std::vector<Sequence> live_, kept_;  // by age, but extend() makes a sequence the youngest
  int64_t preempted_ = 0, found_ = 0, passes_ = 0, drafted_ = 0, accepted_ = 0;
  int64_t next_ticket_ = 0;
  int64_t version_ = 0;
};

}  // namespace terse::rl
