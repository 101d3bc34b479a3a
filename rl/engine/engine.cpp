// The scheduler of continuous batching: it gives sequences pages of the cache, runs their new tokens, and samples.
// Random numbers never depend on the schedule.
#include "rl/engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "rl/engine/ngram_draft.h"
#include "trainer/control_group.h"

namespace terse::rl {

namespace {

constexpr int64_t kDraftRows = 8;      // a step of so many rows still waits for the weights rather than for arithmetic
constexpr int kStepsBetweenLooks = 8;  // steps between two polls of the signals

int64_t length_of(const std::vector<int32_t>& tokens) {
  return static_cast<int64_t>(tokens.size());
}

}  // namespace

EngineOptions engine_options(const configs::Engine& config, trainer::SignalPoll* signals) {
  return {.max_batch = config.max_batch,
          .signals = signals,
          .kv_cache_bytes = static_cast<int64_t>(config.kv_cache_gib * 0x1p30),
          .chunked_prefill_size = config.chunked_prefill_size,
          .speculative_tokens = config.speculative_tokens};
}

trainer::LogitTransform logit_transform(const configs::Engine& config) {
  return {config.temperature, config.top_k, config.top_p, config.min_p};
}

int64_t cache_pages(const trainer::ModelSpec& spec, bool cuda, const EngineOptions& options) {
  const int64_t wanted = options.max_batch * pages_for(spec.max_seq_len);
  int64_t bytes = options.kv_cache_bytes;
  if (bytes == 0 && cuda) return wanted;
  if (bytes == 0) bytes = trainer::usable_memory() / kCacheShare;
  return std::clamp<int64_t>(bytes / page_bytes(spec, cuda), 1, wanted);
}

Engine::Engine(trainer::Transformer& model, const EngineOptions& options)
    : model_(model),
      options_(options),
      pages_(cache_pages(model.spec(), !model.device().is_cpu(), options)),
      decoder_(make_decoder(model, pages_.count())) {}

Engine::Use Engine::use() const {
  const int64_t page = page_bytes(model_.spec(), !model_.device().is_cpu());
  return {.bytes = pages_.count() * page,
          .used_bytes = (pages_.count() - pages_.free()) * page,
          .most_bytes = pages_.most_used() * page,
          .preempted = preempted_,
          .found = found_,
          .passes = passes_,
          .drafted = drafted_,
          .accepted = accepted_};
}

void Engine::refresh(int64_t version) {
  decoder_->refresh();
  version_ = version;
  pages_.forget_unread();
  recompute_kv_cache();
}

void Engine::generate(const std::vector<GenerationRequest>& requests, const OnCompletion& on_completion) {
  if (!idle()) throw std::logic_error("generate() was called while sequences are in progress");
  const int64_t first = next_ticket_;
  for (const GenerationRequest& request : requests) check_request(request);
  for (const GenerationRequest& request : requests) submit(request);
  const auto go_on = [&] { return options_.signals != nullptr ? options_.signals->meet(!idle()) : !idle(); };
  while (go_on()) {
    for (int i = 0; i < kStepsBetweenLooks && !idle(); ++i) {
      for (Finished& each : step())
        on_completion(static_cast<size_t>(each.ticket - first), each.sample, std::move(each.completion));
    }
  }
}

std::vector<std::vector<Completion>> Engine::generate(const std::vector<GenerationRequest>& requests) {
  std::vector<std::vector<Completion>> completions;
  for (const GenerationRequest& request : requests) {
    check_request(request);
    completions.emplace_back(static_cast<size_t>(request.sampling.n));
  }
  generate(requests, [&](size_t request, int64_t sample, Completion&& completion) {
    completions[request][static_cast<size_t>(sample)] = std::move(completion);
  });
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
  check_cache(length_of(request.prompt) + added);
  if (request.first_sample < 0 || request.first_sample + request.sampling.n > kMostSamples)
    throw std::invalid_argument(
        fmt::format("first_sample is {}; expected 0 or more, at most 2^24 with n", request.first_sample));
  if (!request.sampling.stop.empty() && options_.tokenizer == nullptr)
    throw std::invalid_argument("stop strings need an engine that has a tokenizer");
}

void Engine::check_cache(int64_t tokens) const {
  if (pages_for(tokens) <= pages_.count()) return;
  constexpr double kMib = 0x1p20;
  const double page = static_cast<double>(page_bytes(model_.spec(), !model_.device().is_cpu())) / kMib;
  throw std::invalid_argument(
      fmt::format("a sequence of {} tokens takes {:.1f} MiB of keys and values, and the cache has {:.1f} MiB; raise "
                  "engine.kv_cache_gib or lower engine.max_new_tokens",
                  tokens, static_cast<double>(pages_for(tokens)) * page, static_cast<double>(pages_.count()) * page));
}

int64_t Engine::submit(GenerationRequest request) {
  check_request(request);
  const auto group = std::make_shared<Group>(Group{std::move(request)});
  const SamplingParams& sampling = group->request.sampling;
  for (int64_t sample = 0; sample < sampling.n; ++sample) {
    Sequence sequence{.ticket = next_ticket_, .sample = sample, .group = group, .tokens = group->request.prompt};
    sequence.left = sampling.max_new_tokens;
    waiting_.push_back(std::move(sequence));
  }
  return next_ticket_++;
}

std::vector<Engine::Finished> Engine::step() {
  std::vector<Finished> finished;
  draft();
  reserve_pages();
  admit();
  if (live_.empty()) return finished;
  const torch::Tensor logits = run_tokens();
  std::vector<Sequence> running;
  running.swap(live_);
  sample(std::move(running), logits, finished);
  return finished;
}

void Engine::extend(int64_t ticket, int64_t sample, const std::vector<int32_t>& tokens) {
  const auto find = [&](auto& sequences) -> Sequence* {
    for (Sequence& s : sequences)
      if (s.ticket == ticket && s.sample == sample && !s.completion.tokens.empty()) return &s;
    return nullptr;
  };
  Sequence* const kept = find(kept_);
  Sequence* const live = find(live_);
  Sequence* const found = kept != nullptr ? kept : live != nullptr ? live : find(waiting_);
  if (found == nullptr) {
    throw std::invalid_argument(fmt::format(
        "sample {} of request {} cannot be extended: it has no tokens yet, or it has ended and was not kept", sample,
        ticket));
  }
  if (tokens.empty()) throw std::invalid_argument("extend() needs at least one token");
  const int64_t room = found->request().sampling.max_new_tokens;
  if (length_of(found->tokens) + length_of(tokens) + room > model_.spec().max_seq_len) {
    throw std::invalid_argument(
        fmt::format("{} tokens so far, {} to append and {} new ones exceed model.max_seq_len = {}",
                    found->tokens.size(), tokens.size(), room, model_.spec().max_seq_len));
  }
  check_cache(length_of(found->tokens) + length_of(tokens) + room);
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
  if (kept == nullptr) return;
  if (kept->pages.empty()) {
    waiting_.push_front(std::move(*kept));
  } else {
    live_.push_back(std::move(*kept));
  }
  kept_.erase(kept_.begin() + (kept - kept_.data()));
}

void Engine::cancel(int64_t ticket) {
  std::erase_if(waiting_, [&](const Sequence& s) { return s.ticket == ticket; });
  for (std::vector<Sequence>* sequences : {&live_, &kept_}) {
    std::erase_if(*sequences, [&](Sequence& s) {
      if (s.ticket != ticket) return false;
      pages_.release(s.pages);
      return true;
    });
  }
  // Those that followed a sequence of this request run their prompt themselves now.
  const Sequence* leader = nullptr;
  for (Sequence& s : live_) {
    s.follows = s.follows && leader != nullptr && leader->tokens == s.tokens &&
                (s.pages.size() == 1 || leader->pages.front() == s.pages.front());
    if (!s.follows) leader = &s;
  }
}

std::optional<int64_t> Engine::oldest_version(int64_t ticket) const {
  std::optional<int64_t> oldest;
  const auto look = [&](const auto& sequences) {
    for (const Sequence& s : sequences) {
      if (s.ticket != ticket || s.completion.versions.empty()) continue;
      const int64_t first = s.completion.versions.front();
      oldest = oldest ? std::min(*oldest, first) : first;
    }
  };
  look(live_);
  look(waiting_);  // preempted ones
  return oldest;
}

// Guesses the next tokens where few sequences run, so that a step takes hardly longer with the guesses.
void Engine::draft() {
  const int64_t running = std::ssize(live_);
  if (running == 0 || !model_.device().is_cpu()) return;
  const int64_t most = std::min(options_.speculative_tokens, kDraftRows / running - 1);
  if (most <= 0) return;
  for (Sequence& s : live_) {
    if (s.cached + 1 < length_of(s.tokens)) continue;
    std::vector<const std::vector<int32_t>*> texts = {&s.tokens};
    for (const auto& response : s.group->responses) texts.push_back(&response);
    for (const Sequence& other : live_)
      if (other.group == s.group && &other != &s) texts.push_back(&other.tokens);
    s.draft = ngram_draft(texts, std::min(most, s.left - 1));
    drafted_ += std::ssize(s.draft);
  }
}

// Gives each sequence in progress the pages for the tokens that it will run, the oldest first.
void Engine::reserve_pages() {
  for (size_t i = 0; i < live_.size(); ++i) {
    if (pages_.grow(live_[i].pages, length_of(live_[i].tokens) + std::ssize(live_[i].draft))) continue;
    live_[i].draft.clear();
    while (i < live_.size() && !pages_.grow(live_[i].pages, length_of(live_[i].tokens))) {
      const auto kept = std::find_if(kept_.rbegin(), kept_.rend(), [](const Sequence& s) { return !s.pages.empty(); });
      if (kept != kept_.rend()) {
        preempt(*kept);
        continue;
      }
      preempt(live_.back());
      waiting_.push_front(std::move(live_.back()));
      live_.pop_back();
    }
  }
}

void Engine::preempt(Sequence& sequence) {
  preempted_ += sequence.pages.empty() ? 0 : 1;
  pages_.release(sequence.pages);
  sequence.cached = 0;
  sequence.draft.clear();
}

// Moves waiting sequences to those in progress, as long as there is room for them.
void Engine::admit() {
  int64_t rows = 0;
  std::optional<size_t> leader;  // in live_; the last one that runs its own tokens
  for (size_t i = 0; i < live_.size(); ++i) {
    const int64_t left = length_of(live_[i].tokens) - live_[i].cached;
    if (live_[i].follows) continue;
    leader = left > 1 ? std::optional(i) : std::nullopt;
    rows += left > 1 ? left : 0;
  }
  while (!waiting_.empty() && std::ssize(live_) + std::ssize(kept_) < options_.max_batch) {
    Sequence& next = waiting_.front();
    next.follows = leader && live_[*leader].tokens == next.tokens;
    if (!next.follows && rows >= options_.chunked_prefill_size) break;
    if (!take_pages(next, next.follows ? &live_[*leader] : nullptr)) break;
    if (!next.follows) {
      leader = live_.size();
      rows += length_of(next.tokens) - next.cached;
    }
    live_.push_back(std::move(next));
    waiting_.pop_front();
  }
}

// Takes the pages for the tokens of a sequence. It shares the full ones of its leader, or those that the cache has of
// its beginning; its last token is run in any case, for its logits. Leaves a page for each sequence in progress, so
// that those need not stop for this one at once. Returns whether there were enough.
bool Engine::take_pages(Sequence& sequence, const Sequence* leader) {
  const int64_t length = length_of(sequence.tokens);
  PageTable begin = leader != nullptr ? pages_.share(leader->pages, length / kPageTokens)
                                      : pages_.find(sequence.tokens, (length - 1) / kPageTokens);
  const int64_t needed = pages_for(length) - std::ssize(begin) + std::ssize(live_);
  for (auto kept = kept_.rbegin(); live_.empty() && needed > pages_.free() && kept != kept_.rend(); ++kept)
    preempt(*kept);
  if (needed > pages_.free()) {
    pages_.release(begin);
    return false;
  }
  sequence.cached = leader != nullptr ? 0 : std::ssize(begin) * kPageTokens;
  found_ += sequence.cached;
  sequence.pages = std::move(begin);
  pages_.grow(sequence.pages, length);
  return true;
}

// Runs the tokens that have not been run: the newest one of each sequence and its guesses, and, up to the size of a
// chunk, prompts and what extend() appended. Returns the rows of logits of the sequences in progress, one after
// another.
torch::Tensor Engine::run_tokens() {
  DecodeRows rows;
  std::vector<int64_t> logits_row;
  int64_t chunk = options_.chunked_prefill_size;
  const Sequence* leader = nullptr;
  for (Sequence& s : live_) {
    if (s.follows) {
      s.logits = leader->logits;
    } else {
      leader = &s;
      const int64_t length = length_of(s.tokens), waiting = length - s.cached;
      const int64_t count = waiting == 1 ? 1 : std::min(waiting, chunk);
      chunk -= waiting == 1 ? 0 : count;
      for (int64_t i = s.cached; i < s.cached + count; ++i) rows.add(s.pages, s.tokens[static_cast<size_t>(i)], i);
      s.logits = count < waiting ? 0 : 1 + std::ssize(s.draft);
      if (s.logits > 0) rows.want_last();
      for (int64_t i = 0; i + 1 < s.logits; ++i) {
        rows.add(s.pages, s.draft[static_cast<size_t>(i)], length + i);
        rows.want_last();
      }
      s.ran = count;
    }
    for (int64_t i = 0; i < s.logits; ++i) logits_row.push_back(std::ssize(rows.wanted) - s.logits + i);
  }
  const torch::Tensor logits = decoder_->forward(rows);
  ++passes_;
  for (Sequence& s : live_) {
    if (!s.follows) {
      note_cached(s, s.cached + s.ran);
      leader = &s;
    } else if (s.logits > 0) {
      s.cached = length_of(s.tokens);
      if (s.cached % kPageTokens > 0) decoder_->copy_page(leader->pages.back(), s.pages.back());
      s.follows = false;
    }
  }
  const bool any_twice = std::ssize(logits_row) > logits.size(0);
  return any_twice ? logits.index_select(0, torch::tensor(logits_row, torch::kInt64)) : logits;
}

// Notes that the cache has the keys and values of so many tokens of a sequence.
void Engine::note_cached(Sequence& s, int64_t cached) {
  const int64_t before = std::exchange(s.cached, cached);
  if (options_.prefix_caching && cached / kPageTokens > before / kPageTokens) pages_.fill(s.pages, s.tokens, cached);
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
  std::vector<bool> done(static_cast<size_t>(pages_.count()));  // pages that several sequences read
  for (const std::vector<Sequence>* sequences : {&live_, &kept_}) {
    for (const Sequence& s : *sequences) {
      for (int64_t i = 0; i < s.cached; ++i) {
        const size_t page = static_cast<size_t>(s.pages[static_cast<size_t>(i / kPageTokens)]);
        if (!done[page]) rows.add(s.pages, s.tokens[static_cast<size_t>(i)], i);
        if (i % kPageTokens == kPageTokens - 1) done[page] = true;
        if (std::ssize(rows.tokens) >= options_.chunked_prefill_size) flush();
      }
    }
  }
  flush();
}

// Rows with equal transforms that follow one another are sampled in one call.
void Engine::sample(std::vector<Sequence> sequences, torch::Tensor logits, std::vector<Finished>& finished) {
  const auto transform = [&](size_t i) { return sequences[i].request().sampling.transform; };
  std::vector<Draw> draws;
  for (size_t begin = 0, end = 0; begin < sequences.size(); begin = end) {
    std::vector<DrawKey> keys;
    for (; end < sequences.size() && transform(end) == transform(begin); ++end) {
      const Sequence& s = sequences[end];
      const GenerationRequest& request = s.request();
      for (int64_t i = 0; i < s.logits; ++i)
        keys.push_back({request.sampling.seed, request.sampling.stream, request.key, request.first_sample + s.sample,
                        request.first_place + length_of(s.completion.tokens) + i});
    }
    if (keys.empty()) continue;
    float* const row = logits.data_ptr<float>() + std::ssize(draws) * logits.size(1);
    for (const Draw& draw : sample_rows(row, std::ssize(keys), logits.size(1), transform(begin), keys))
      draws.push_back(draw);
  }
  const Draw* draw = draws.data();
  for (Sequence& s : sequences) {
    const Draw* const first = std::exchange(draw, draw + s.logits);
    if (!append_all(s, first)) {
      live_.push_back(std::move(s));
      continue;
    }
    if (options_.speculative_tokens > 0 && s.request().sampling.n > 1) s.group->responses.push_back(s.tokens);
    if (s.request().keep) {
      finished.push_back({s.ticket, s.sample, s.completion});
      kept_.push_back(std::move(s));
    } else {
      pages_.release(s.pages);
      finished.push_back({s.ticket, s.sample, std::move(s.completion)});
    }
  }
}

bool Engine::append_all(Sequence& s, const Draw* draws) {
  const std::vector<int32_t> draft = std::exchange(s.draft, {});
  for (int64_t i = 0; i < s.logits; ++i) {
    if (append(s, draws[i])) return true;
    if (i == std::ssize(draft) || s.tokens.back() != draft[static_cast<size_t>(i)]) break;
    ++accepted_;
    note_cached(s, s.cached + 1);
  }
  return false;
}

bool Engine::append(Sequence& s, const Draw& draw) {
  const GenerationRequest& request = s.request();
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
