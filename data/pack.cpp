// Shifts sequences into inputs and targets, for SFT and RL. data/windows.cpp does the same for pretraining.
#include "data/pack.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace terse::data {

namespace {

// `of` follows the position in the message.
template <class Refuse>
void check_ids(std::span<const int32_t> tokens, const std::string& of, const Refuse& refuse) {
  for (size_t i = 0; i < tokens.size(); ++i)
    if (tokens[i] < 0) refuse(fmt::format("has the negative token id {} at position {}{}", tokens[i], i, of));
}

void check_sequence(const Sequence& sequence, size_t index) {
  const auto refuse = [&](const std::string& what) {
    throw std::invalid_argument(fmt::format("sequence {} {}", index, what));
  };
  if (sequence.tokens.empty()) refuse("has no tokens");
  if (sequence.weights.size() != sequence.tokens.size()) {
    refuse(fmt::format("has {} tokens but {} weights", sequence.tokens.size(), sequence.weights.size()));
  }
  if (sequence.weights[0] != 0)
    refuse(
        fmt::format("has weight {} at its first token, expected 0 because no token precedes it", sequence.weights[0]));
  check_ids(sequence.tokens, "", refuse);
}

int32_t checked_count(size_t n) {
  if (n > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw std::invalid_argument(fmt::format("{} tokens are too many for one batch", n));
  }
  return static_cast<int32_t>(n);
}

// Fills a batch segment by segment.
class Packer {
 public:
  explicit Packer(int64_t tokens) {
    const auto longs = torch::TensorOptions().dtype(torch::kInt64);
    batch_.tokens = torch::empty({tokens}, longs);
    batch_.positions = torch::empty({tokens}, longs);
    batch_.targets = torch::zeros({tokens}, longs);
    batch_.weights = torch::zeros({tokens}, torch::kFloat32);
    token_ = batch_.tokens.data_ptr<int64_t>();
    position_ = batch_.positions.data_ptr<int64_t>();
    target_ = batch_.targets.data_ptr<int64_t>();
    weight_ = batch_.weights.data_ptr<float>();
  }

  void begin_sequence() { sequences_.push_back(static_cast<int32_t>(at_)); }
  void begin_segment(int32_t prefix = -1) {
    segments_.push_back(static_cast<int32_t>(at_));
    prefixes_.push_back(prefix);
  }
  int32_t segments() const { return static_cast<int32_t>(segments_.size()); }

  void add(int32_t token, int64_t position, int32_t target = 0, float weight = 0) {
    token_[at_] = token;
    position_[at_] = position;
    if (weight != 0) {
      target_[at_] = target;
      weight_[at_] = weight;
    }
    ++at_;
  }

  Batch finish() {
    begin_sequence();
    segments_.push_back(static_cast<int32_t>(at_));
    batch_.segments = torch::tensor(segments_, torch::kInt32);
    batch_.sequences = torch::tensor(sequences_, torch::kInt32);
    if (std::any_of(prefixes_.begin(), prefixes_.end(), [](int32_t prefix) { return prefix >= 0; }))
      batch_.prefixes = torch::tensor(prefixes_, torch::kInt32);
    return batch_;
  }

 private:
  Batch batch_;
  int64_t *token_, *position_, *target_;  // of the batch
  float* weight_;
  std::vector<int32_t> segments_, sequences_, prefixes_;
  int64_t at_ = 0;
};

}  // namespace

Sequence prompt_and_response(std::span<const int32_t> prompt, std::span<const int32_t> response, float weight) {
  if (prompt.empty())
    throw std::invalid_argument("the prompt has no tokens, but the first response token needs one before it");
  Sequence sequence;
  sequence.tokens.assign(prompt.begin(), prompt.end());
  sequence.tokens.insert(sequence.tokens.end(), response.begin(), response.end());
  sequence.weights.assign(prompt.size(), 0);
  sequence.weights.insert(sequence.weights.end(), response.size(), weight);
  return sequence;
}

Batch pack(const std::vector<Sequence>& sequences) {
  size_t total = 0;
  for (size_t s = 0; s < sequences.size(); ++s) {
    check_sequence(sequences[s], s);
    total += sequences[s].tokens.size();
  }
  Packer packer(checked_count(total));
  for (const auto& [tokens, weights] : sequences) {
    packer.begin_sequence();
    packer.begin_segment();
    for (size_t i = 0; i < tokens.size(); ++i) {
      const bool last = i + 1 == tokens.size();
      packer.add(tokens[i], static_cast<int64_t>(i), last ? 0 : tokens[i + 1], last ? 0 : weights[i + 1]);
    }
  }
  return packer.finish();
}

namespace {

void check_prompt(const SharedPrompt& shared, size_t index) {
  const auto refuse = [&](const std::string& what) {
    throw std::invalid_argument(fmt::format("prompt {} {}", index, what));
  };
  if (shared.prompt.empty()) refuse("has no tokens, but the first response token needs one before it");
  if (shared.responses.empty()) refuse("has no responses");
  check_ids(shared.prompt, "", refuse);
  for (size_t r = 0; r < shared.responses.size(); ++r) {
    const SharedPrompt::Response& response = shared.responses[r];
    if (response.tokens.empty()) refuse(fmt::format("has no tokens in response {}", r));
    if (response.weights.size() != response.tokens.size())
      refuse(fmt::format("has {} tokens but {} weights in response {}", response.tokens.size(), response.weights.size(),
                         r));
    check_ids(response.tokens, fmt::format(" of response {}", r), refuse);
  }
}

}  // namespace

Batch pack_shared(const std::vector<SharedPrompt>& prompts) {
  size_t total = 0;
  for (size_t p = 0; p < prompts.size(); ++p) {
    check_prompt(prompts[p], p);
    total += prompts[p].prompt.size() - 1;
    for (const SharedPrompt::Response& response : prompts[p].responses) total += response.tokens.size();
  }
  Packer packer(checked_count(total));
  for (const SharedPrompt& shared : prompts) {
    const int64_t last = static_cast<int64_t>(shared.prompt.size()) - 1;
    packer.begin_sequence();
    int32_t prefix = -1;
    if (last > 0) {
      prefix = packer.segments();
      packer.begin_segment();
    }
    for (int64_t i = 0; i < last; ++i) packer.add(shared.prompt[static_cast<size_t>(i)], i);
    for (const SharedPrompt::Response& response : shared.responses) {
      packer.begin_segment(prefix);
      int32_t token = shared.prompt.back();
      for (size_t i = 0; i < response.tokens.size(); ++i) {
        packer.add(token, last + static_cast<int64_t>(i), response.tokens[i], response.weights[i]);
        token = response.tokens[i];
      }
    }
  }
  return packer.finish();
}

Batch concatenate(const std::vector<Batch>& batches) {
  if (batches.size() == 1) return batches[0];
  for (const Batch& batch : batches)
    if (batch.prefixes.defined()) throw std::logic_error("batches with shared prompts cannot be concatenated");
  std::vector<torch::Tensor> tokens, positions, targets, weights;
  std::vector<torch::Tensor> segments = {torch::zeros({1}, torch::kInt32)}, sequences = segments;
  int64_t begin = 0;
  for (const Batch& batch : batches) {
    tokens.push_back(batch.tokens);
    positions.push_back(batch.positions);
    targets.push_back(batch.targets);
    weights.push_back(batch.weights);
    segments.push_back(batch.segments.slice(0, 1) + begin);
    sequences.push_back(batch.sequences.slice(0, 1) + begin);
    begin += batch.token_count();
  }
  return {torch::cat(tokens),    torch::cat(positions), torch::cat(segments),
          torch::cat(sequences), torch::cat(targets),   torch::cat(weights)};
}

void require_range(int64_t begin, int64_t end, int64_t sequences) {
  if (begin < 0 || begin > end || end > sequences)
    throw std::invalid_argument(
        fmt::format("sequences {} to {} are out of range: the batch has {}", begin, end, sequences));
}

Batch slice(const Batch& batch, int64_t begin, int64_t end) {
  require_range(begin, end, batch.sequence_count());
  const torch::Tensor sequences = batch.sequences.narrow(0, begin, end - begin + 1);
  const int64_t first = sequences[0].item<int32_t>(), count = sequences[end - begin].item<int32_t>() - first;
  const torch::Tensor segments =
      batch.segments.masked_select((batch.segments >= first).logical_and(batch.segments <= first + count));
  const auto part = [=](const torch::Tensor& t) { return t.narrow(0, first, count); };
  torch::Tensor prefixes;
  if (batch.prefixes.defined()) {
    const int64_t before = (batch.segments < first).sum().item<int64_t>();
    const torch::Tensor of_part = batch.prefixes.narrow(0, before, segments.size(0) - 1);
    prefixes = torch::where(of_part < 0, of_part, of_part - before);
  }
  return {part(batch.tokens),  part(batch.positions),        segments - first, sequences - first, part(batch.targets),
          part(batch.weights), batch.first_sequence + begin, prefixes};
}

}  // namespace terse::data
