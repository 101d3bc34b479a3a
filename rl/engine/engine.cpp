// The scheduler of continuous batching: it admits waiting sequences, decodes running ones, and samples. Random numbers
// never depend on the schedule.
#include "rl/engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace terse::rl {

namespace {

constexpr int64_t kPrefillRows = 4096;  // no further prompt joins a forward pass of this many tokens
constexpr int kStepsBetweenLooks = 8;   // steps between two polls of the signals
constexpr int64_t kMostSamples = int64_t{1} << 24;

int64_t length_of(const std::vector<int32_t>& tokens) {
  return static_cast<int64_t>(tokens.size());
}

}  // namespace

void check(const SamplingParams& params) {
  const auto require = [](bool holds, const char* name, auto value, const char* expected) {
    if (!holds) throw std::invalid_argument(fmt::format("{} is {}; expected {}", name, value, expected));
  };
  const trainer::LogitTransform& t = params.transform;
  require(t.temperature >= 0 && t.temperature < 1e30, "temperature", t.temperature, "0 or more");
  require(t.top_k >= 0, "top_k", t.top_k, "0 (off) or more");
  require(t.top_p > 0 && t.top_p <= 1, "top_p", t.top_p, "more than 0, at most 1 (off)");
  require(t.min_p >= 0 && t.min_p <= 1, "min_p", t.min_p, "0 (off) to 1");
  require(params.max_new_tokens >= 1, "max_new_tokens", params.max_new_tokens, "1 or more");
  require(params.n >= 1 && params.n <= kMostSamples, "n", params.n, "1 to 2^24 samples");
  for (const std::string& stop : params.stop) require(!stop.empty(), "stop", "\"\"", "a string that is not empty");
}

Engine::Engine(trainer::Transformer& model, const EngineOptions& options)
    : model_(model), options_(options), decoder_(make_decoder(model, options.max_batch, model.spec().max_seq_len)) {
  for (int64_t slot = options.max_batch - 1; slot >= 0; --slot) free_slots_.push_back(slot);
}

void Engine::refresh(int64_t version) {
  decoder_->refresh();
  version_ = version;
  recompute_kv_cache();
}

std::vector<std::vector<Completion>> Engine::generate(const std::vector<GenerationRequest>& requests) {
  if (!idle()) throw std::logic_error("generate() was called while sequences are in progress");
  const int64_t first = next_ticket_;
  std::vector<std::vector<Completion>> completions;
  for (const GenerationRequest& request : requests) check_request(request);
  for (const GenerationRequest& request : requests) {
    completions.emplace_back(static_cast<size_t>(request.sampling.n));
    submit(request);
  }
  const auto go_on = [&] { return options_.signals != nullptr ? options_.signals->meet(!idle()) : !idle(); };
  while (go_on()) {
    for (int i = 0; i < kStepsBetweenLooks && !idle(); ++i) {
      for (Finished& each : step())
        completions[static_cast<size_t>(each.ticket - first)][static_cast<size_t>(each.sample)] =
            std::move(each.completion);
    }
  }
  return completions;
}

void Engine::check_request(const GenerationRequest& request) const {
  check(request.sampling);
  if (request.prompt.empty()) throw std::invalid_argument("a prompt is empty; it must have at least one token");
  const int64_t added = request.sampling.max_new_tokens;
  if (length_of(request.prompt) + added > model_.spec().max_seq_len) {
    throw std::invalid_argument(fmt::format("a prompt of {} tokens plus {} new tokens exceeds model.max_seq_len = {}",
                                            request.prompt.size(), added, model_.spec().max_seq_len));
  }
  if (request.first_sample < 0 || request.first_sample + request.sampling.n > kMostSamples)
    throw std::invalid_argument(
        fmt::format("first_sample is {}; expected 0 or more, at most 2^24 with n", request.first_sample));
  if (!request.sampling.stop.empty() && options_.tokenizer == nullptr)
    throw std::invalid_argument("stop strings need an engine that has a tokenizer");
}

int64_t Engine::submit(GenerationRequest request) {
  check_request(request);
  const auto shared = std::make_shared<const GenerationRequest>(std::move(request));
  for (int64_t sample = 0; sample < shared->sampling.n; ++sample) {
    Sequence sequence{.ticket = next_ticket_, .sample = sample, .request = shared, .tokens = shared->prompt};
    sequence.left = shared->sampling.max_new_tokens;
    waiting_.push_back(std::move(sequence));
  }
  return next_ticket_++;
}

std::vector<Engine::Finished> Engine::step() {
  std::vector<Finished> finished;
  admit(finished);
  decode(finished);
  return finished;
}

void Engine::extend(int64_t ticket, int64_t sample, const std::vector<int32_t>& tokens) {
  const auto wanted = [&](const Sequence& s) { return s.ticket == ticket && s.sample == sample; };
  const auto kept = std::find_if(kept_.begin(), kept_.end(), wanted);
  const auto live = std::find_if(live_.begin(), live_.end(), wanted);
  Sequence* const found = kept != kept_.end() ? &*kept : live != live_.end() ? &*live : nullptr;
  if (found == nullptr) {
    throw std::invalid_argument(fmt::format(
        "sample {} of request {} cannot be extended: it has no tokens yet, or it has ended and was not kept", sample,
        ticket));
  }
  if (tokens.empty()) throw std::invalid_argument("extend() needs at least one token");
  const int64_t room = found->request->sampling.max_new_tokens;
  if (length_of(found->tokens) + length_of(tokens) + room > model_.spec().max_seq_len) {
    throw std::invalid_argument(
        fmt::format("{} tokens so far, {} to append and {} new ones exceed model.max_seq_len = {}",
                    found->tokens.size(), tokens.size(), room, model_.spec().max_seq_len));
  }
  for (const int32_t token : tokens) {
    found->tokens.push_back(token);
    Completion& completion = found->completion;
    completion.tokens.push_back(token);
    completion.sampled.push_back(0);
    completion.logprobs.push_back(0);
    completion.entropies.push_back(0);
    completion.versions.push_back(version_);
  }
  found->left = room;
  found->stop.reset();
  if (kept == kept_.end()) return;
  live_.push_back(std::move(*kept));
  kept_.erase(kept);
}

void Engine::cancel(int64_t ticket) {
  std::erase_if(waiting_, [&](const Sequence& s) { return s.ticket == ticket; });
  for (std::vector<Sequence>* sequences : {&live_, &kept_}) {
    std::erase_if(*sequences, [&](const Sequence& s) {
      if (s.ticket != ticket) return false;
      free_slots_.push_back(s.slot);
      return true;
    });
  }
}

std::optional<int64_t> Engine::oldest_version(int64_t ticket) const {
  std::optional<int64_t> oldest;
  for (const Sequence& s : live_) {
    if (s.ticket != ticket) continue;
    const int64_t first = s.completion.versions.front();
    oldest = oldest ? std::min(*oldest, first) : first;
  }
  return oldest;
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
    sequence.cached = length_of(sequence.tokens);
    const bool shared = !admitted.empty() && sequence.tokens == admitted.back().tokens;
    if (!shared) {
      for (int64_t i = 0; i < sequence.cached; ++i) rows.add(sequence.slot, sequence.tokens[static_cast<size_t>(i)], i);
      rows.want_last();
    }
    source.push_back(shared ? source.back() : sequence.slot);
    logits_row.push_back(static_cast<int64_t>(rows.wanted.size()) - 1);
    admitted.push_back(std::move(sequence));
  }
  if (admitted.empty()) return;
  const torch::Tensor logits = decoder_->forward(rows);
  for (size_t i = 0; i < admitted.size(); ++i) {
    if (source[i] != admitted[i].slot) decoder_->copy_prefix(source[i], admitted[i].slot, admitted[i].cached);
  }
  sample(std::move(admitted), logits.index_select(0, torch::tensor(logits_row, torch::kInt64)), finished);
}

// Runs the tokens of each sequence that have not been run: the newest one, and those that extend() appended.
void Engine::decode(std::vector<Finished>& finished) {
  if (live_.empty()) return;
  DecodeRows rows;
  for (Sequence& s : live_) {
    for (; s.cached < length_of(s.tokens); ++s.cached)
      rows.add(s.slot, s.tokens[static_cast<size_t>(s.cached)], s.cached);
    rows.want_last();
  }
  std::vector<Sequence> running;
  running.swap(live_);
  sample(std::move(running), decoder_->forward(rows), finished);
}

// Recomputes the keys and values of all sequences.
void Engine::recompute_kv_cache() {
  DecodeRows rows;
  const auto flush = [&] {
    if (rows.tokens.empty()) return;
    rows.want_last();
    decoder_->forward(rows);
    rows = {};
  };
  for (const std::vector<Sequence>* sequences : {&live_, &kept_}) {
    for (const Sequence& s : *sequences) {
      for (int64_t i = 0; i < s.cached; ++i) rows.add(s.slot, s.tokens[static_cast<size_t>(i)], i);
      if (static_cast<int64_t>(rows.tokens.size()) >= kPrefillRows) flush();
    }
  }
  flush();
}

// Rows with equal transforms that follow one another are sampled in one call.
void Engine::sample(std::vector<Sequence> sequences, torch::Tensor logits, std::vector<Finished>& finished) {
  const auto transform = [&](size_t i) { return sequences[i].request->sampling.transform; };
  std::vector<Draw> draws;
  for (size_t begin = 0, end = 0; begin < sequences.size(); begin = end) {
    std::vector<DrawKey> keys;
    for (; end < sequences.size() && transform(end) == transform(begin); ++end) {
      const Sequence& s = sequences[end];
      const GenerationRequest& request = *s.request;
      keys.push_back({request.sampling.seed, request.sampling.stream, request.key, request.first_sample + s.sample,
                      request.first_place + length_of(s.completion.tokens)});
    }
    float* const row = logits.data_ptr<float>() + static_cast<int64_t>(begin) * logits.size(1);
    for (const Draw& draw : sample_rows(row, std::ssize(keys), logits.size(1), transform(begin), keys))
      draws.push_back(draw);
  }
  for (size_t i = 0; i < sequences.size(); ++i) {
    Sequence& s = sequences[i];
    if (!append(s, draws[i])) {
      live_.push_back(std::move(s));
    } else if (s.request->keep) {
      finished.push_back({s.ticket, s.sample, s.completion});
      kept_.push_back(std::move(s));
    } else {
      free_slots_.push_back(s.slot);
      finished.push_back({s.ticket, s.sample, std::move(s.completion)});
    }
  }
}

bool Engine::append(Sequence& s, const Draw& draw) {
  const GenerationRequest& request = *s.request;
  const SamplingParams& sampling = request.sampling;
  Completion& completion = s.completion;
  const int32_t token = static_cast<int32_t>(draw.token);
  if (!sampling.stop.empty())
    completion.stop = s.stop.add(*options_.tokenizer, sampling.stop, completion.tokens, token);
  s.tokens.push_back(token);
  completion.tokens.push_back(token);
  completion.sampled.push_back(1);
  completion.logprobs.push_back(draw.logprob);
  completion.entropies.push_back(draw.entropy);
  completion.versions.push_back(version_);
  if (request.on_token) request.on_token({s.ticket, s.sample, token, draw.logprob});
  const std::vector<int32_t>& ends = sampling.stop_token_ids;
  const bool stopped = std::find(ends.begin(), ends.end(), token) != ends.end() || !completion.stop.empty();
  completion.finish = stopped ? FinishReason::kStop : FinishReason::kLength;
  return --s.left == 0 || stopped;
}

}  // namespace terse::rl
