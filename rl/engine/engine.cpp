// The scheduler: admit, decode, sample, until nothing is left.
#include "rl/engine/engine.h"

#include <fmt/format.h>

#include <stdexcept>

namespace terse::rl {

namespace {

constexpr int64_t kPrefillRows = 4096;  // prompt tokens of one forward pass

}  // namespace

Engine::Engine(trainer::Transformer& model, int64_t max_batch)
    : model_(model), decoder_(make_decoder(model, max_batch, model.spec().context)) {
  for (int64_t slot = max_batch - 1; slot >= 0; --slot) free_slots_.push_back(slot);
}

void Engine::refresh(int64_t version) {
  decoder_->refresh();
  version_ = version;
}

void Engine::check(const std::vector<GenerationRequest>& requests, const SamplingOptions& options) const {
  for (const GenerationRequest& request : requests) {
    const int64_t length = static_cast<int64_t>(request.prompt.size()) + options.max_new_tokens;
    if (request.prompt.empty()) throw std::invalid_argument("a prompt must hold at least one token");
    if (length > model_.spec().context) {
      throw std::invalid_argument(fmt::format("a prompt of {} tokens plus {} new ones exceeds model.context = {}",
                                              request.prompt.size(), options.max_new_tokens, model_.spec().context));
    }
  }
}

std::vector<Completion> Engine::generate(const std::vector<GenerationRequest>& requests,
                                         const SamplingOptions& options) {
  check(requests, options);
  Job job{requests, options, std::vector<Completion>(requests.size()), 0, {}};
  while (job.next < requests.size() || !job.live.empty()) {
    admit(job);
    decode(job);
  }
  return std::move(job.completions);
}

void Engine::admit(Job& job) {
  DecodeRows rows;
  std::vector<Sequence> admitted;
  std::vector<int64_t> source;  // for each admitted sequence, the one whose prompt pass it shares
  std::vector<int64_t> logits_row;
  while (job.next < job.requests.size() && !free_slots_.empty() &&
         static_cast<int64_t>(rows.tokens.size()) < kPrefillRows) {
    const GenerationRequest& request = job.requests[job.next];
    const int64_t length = static_cast<int64_t>(request.prompt.size()), slot = free_slots_.back();
    free_slots_.pop_back();
    const bool shared = !admitted.empty() && request.prompt == job.requests[admitted.back().request].prompt;
    if (!shared) {
      for (int64_t i = 0; i < length; ++i) {
        rows.slots.push_back(slot);
        rows.tokens.push_back(request.prompt[static_cast<size_t>(i)]);
        rows.positions.push_back(i);
      }
      rows.wanted.push_back(static_cast<int64_t>(rows.tokens.size()) - 1);
    }
    source.push_back(shared ? source.back() : slot);
    logits_row.push_back(static_cast<int64_t>(rows.wanted.size()) - 1);
    admitted.push_back({job.next++, slot, length, 0});
  }
  if (admitted.empty()) return;
  const torch::Tensor logits = decoder_->forward(rows);
  for (size_t i = 0; i < admitted.size(); ++i) {
    if (source[i] != admitted[i].slot) decoder_->copy_prefix(source[i], admitted[i].slot, admitted[i].position);
  }
  sample(job, std::move(admitted), logits.index_select(0, torch::tensor(logits_row, torch::kInt64)));
}

void Engine::decode(Job& job) {
  if (job.live.empty()) return;
  DecodeRows rows;
  for (size_t i = 0; i < job.live.size(); ++i) {
    rows.slots.push_back(job.live[i].slot);
    rows.tokens.push_back(job.live[i].token);
    rows.positions.push_back(job.live[i].position++);
    rows.wanted.push_back(static_cast<int64_t>(i));
  }
  std::vector<Sequence> running;
  running.swap(job.live);
  sample(job, std::move(running), decoder_->forward(rows));
}

void Engine::sample(Job& job, std::vector<Sequence> sequences, torch::Tensor logits) {
  std::vector<DrawKey> keys;
  for (const Sequence& s : sequences) {
    const GenerationRequest& request = job.requests[s.request];
    keys.push_back({job.options.seed, job.options.stream, request.problem, request.sample,
                    static_cast<int64_t>(job.completions[s.request].tokens.size())});
  }
  const std::vector<Draw> draws =
      sample_rows(logits.data_ptr<float>(), logits.size(0), logits.size(1), job.options.transform, keys);
  for (size_t i = 0; i < sequences.size(); ++i) {
    Sequence& s = sequences[i];
    Completion& completion = job.completions[s.request];
    completion.tokens.push_back(static_cast<int32_t>(draws[i].token));
    completion.logprobs.push_back(draws[i].logprob);
    completion.entropies.push_back(draws[i].entropy);
    const bool ended = draws[i].token == job.options.end_token;
    if (ended || static_cast<int64_t>(completion.tokens.size()) >= job.options.max_new_tokens) {
      completion.finish = ended ? FinishReason::kStop : FinishReason::kLength;
      completion.weight_version = version_;
      free_slots_.push_back(s.slot);
    } else {
      s.token = draws[i].token;
      job.live.push_back(s);
    }
  }
}

}  // namespace terse::rl
