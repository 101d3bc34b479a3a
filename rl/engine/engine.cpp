// The scheduler of continuous batching: it admits waiting sequences, decodes running ones, and samples. Random numbers
// never depend on the schedule.
#include "rl/engine/engine.h"

#include <fmt/format.h>

#include <stdexcept>

namespace terse::rl {

namespace {

constexpr int64_t kPrefillRows = 4096;  // no further prompt joins a forward pass of this many tokens
constexpr int kStepsBetweenLooks = 8;   // steps between two polls of the signals

}  // namespace

Engine::Engine(trainer::Transformer& model, int64_t max_batch, trainer::SignalPoll* signals)
    : model_(model), signals_(signals), decoder_(make_decoder(model, max_batch, model.spec().context)) {
  for (int64_t slot = max_batch - 1; slot >= 0; --slot) free_slots_.push_back(slot);
}

int64_t Engine::Sequence::token(int64_t position) const {
  const size_t i = static_cast<size_t>(position), prompt = request.prompt.size();
  return i < prompt ? request.prompt[i] : completion.tokens[i - prompt];
}

void Engine::refresh(int64_t version) {
  decoder_->refresh();
  version_ = version;
  recompute_kv_cache();
}

std::vector<Completion> Engine::generate(const std::vector<GenerationRequest>& requests,
                                         const SamplingOptions& options) {
  set_sampling(options);
  const int64_t first = next_ticket_;
  for (const GenerationRequest& request : requests) check(request);
  for (const GenerationRequest& request : requests) submit(request);
  std::vector<Completion> completions(requests.size());
  const auto go_on = [&] { return signals_ != nullptr ? signals_->meet(!idle()) : !idle(); };
  while (go_on()) {
    for (int i = 0; i < kStepsBetweenLooks && !idle(); ++i) {
      for (Finished& each : step()) completions[static_cast<size_t>(each.ticket - first)] = std::move(each.completion);
    }
  }
  return completions;
}

void Engine::set_sampling(const SamplingOptions& options) {
  if (!idle())
    throw std::logic_error("set_sampling() was called while sequences are in progress; the engine must be idle");
  options_ = options;
}

void Engine::check(const GenerationRequest& request) const {
  const int64_t length = static_cast<int64_t>(request.prompt.size()) + options_.max_new_tokens;
  if (request.prompt.empty()) throw std::invalid_argument("a prompt is empty; it must have at least one token");
  if (length > model_.spec().context) {
    throw std::invalid_argument(fmt::format("a prompt of {} tokens plus {} new tokens exceeds model.context = {}",
                                            request.prompt.size(), options_.max_new_tokens, model_.spec().context));
  }
}

int64_t Engine::submit(GenerationRequest request) {
  check(request);
  waiting_.push_back({next_ticket_, std::move(request), {}, -1});
  return next_ticket_++;
}

std::vector<Engine::Finished> Engine::step() {
  std::vector<Finished> finished;
  admit(finished);
  decode(finished);
  return finished;
}

void Engine::cancel(int64_t ticket) {
  std::erase_if(waiting_, [&](const Sequence& s) { return s.ticket == ticket; });
  std::erase_if(live_, [&](const Sequence& s) {
    if (s.ticket != ticket) return false;
    free_slots_.push_back(s.slot);
    return true;
  });
}

std::optional<int64_t> Engine::first_version(int64_t ticket) const {
  for (const Sequence& s : live_)
    if (s.ticket == ticket) return s.completion.versions.front();
  return std::nullopt;
}

void Engine::admit(std::vector<Finished>& finished) {
  DecodeRows rows;
  std::vector<Sequence> admitted;
  std::vector<int64_t> source;  // for each admitted sequence, the slot whose prompt pass it shares
  std::vector<int64_t> logits_row;
  while (!waiting_.empty() && !free_slots_.empty() && static_cast<int64_t>(rows.tokens.size()) < kPrefillRows) {
    Sequence sequence = std::move(waiting_.front());
    waiting_.pop_front();
    sequence.slot = free_slots_.back();
    free_slots_.pop_back();
    const bool shared = !admitted.empty() && sequence.request.prompt == admitted.back().request.prompt;
    if (!shared) {
      for (int64_t i = 0; i <= sequence.position(); ++i) rows.add(sequence.slot, sequence.token(i), i);
      rows.want_last();
    }
    source.push_back(shared ? source.back() : sequence.slot);
    logits_row.push_back(static_cast<int64_t>(rows.wanted.size()) - 1);
    admitted.push_back(std::move(sequence));
  }
  if (admitted.empty()) return;
  const torch::Tensor logits = decoder_->forward(rows);
  for (size_t i = 0; i < admitted.size(); ++i) {
    if (source[i] != admitted[i].slot) decoder_->copy_prefix(source[i], admitted[i].slot, admitted[i].position() + 1);
  }
  sample(std::move(admitted), logits.index_select(0, torch::tensor(logits_row, torch::kInt64)), finished);
}

void Engine::decode(std::vector<Finished>& finished) {
  if (live_.empty()) return;
  DecodeRows rows;
  for (const Sequence& s : live_) {
    rows.add(s.slot, s.completion.tokens.back(), s.position());
    rows.want_last();
  }
  std::vector<Sequence> running;
  running.swap(live_);
  sample(std::move(running), decoder_->forward(rows), finished);
}

// Recomputes the keys and values of all running sequences, except those of each newest token, which has not been run
// yet.
void Engine::recompute_kv_cache() {
  DecodeRows rows;
  const auto flush = [&] {
    if (rows.tokens.empty()) return;
    rows.want_last();
    decoder_->forward(rows);
    rows = {};
  };
  for (const Sequence& s : live_) {
    for (int64_t i = 0; i < s.position(); ++i) rows.add(s.slot, s.token(i), i);
    if (static_cast<int64_t>(rows.tokens.size()) >= kPrefillRows) flush();
  }
  flush();
}

void Engine::sample(std::vector<Sequence> sequences, torch::Tensor logits, std::vector<Finished>& finished) {
  std::vector<DrawKey> keys;
  for (const Sequence& s : sequences) {
    keys.push_back({options_.seed, options_.stream, s.request.problem, s.request.sample,
                    static_cast<int64_t>(s.completion.tokens.size())});
  }
  const std::vector<Draw> draws =
      sample_rows(logits.data_ptr<float>(), logits.size(0), logits.size(1), options_.transform, keys);
  for (size_t i = 0; i < sequences.size(); ++i) {
    Sequence& s = sequences[i];
    Completion& completion = s.completion;
    completion.tokens.push_back(static_cast<int32_t>(draws[i].token));
    completion.logprobs.push_back(draws[i].logprob);
    completion.entropies.push_back(draws[i].entropy);
    completion.versions.push_back(version_);
    const bool ended = draws[i].token == options_.end_token;
    if (ended || static_cast<int64_t>(completion.tokens.size()) >= options_.max_new_tokens) {
      completion.finish = ended ? FinishReason::kStop : FinishReason::kLength;
      free_slots_.push_back(s.slot);
      finished.push_back({s.ticket, std::move(completion)});
    } else {
      live_.push_back(std::move(s));
    }
  }
}

}  // namespace terse::rl
