// Shifts sequences into inputs and targets, for SFT and RL. data/windows.cpp does the same for pretraining.
#include "data/pack.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace terse::data {

namespace {

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
  for (size_t i = 0; i < sequence.tokens.size(); ++i) {
    if (sequence.tokens[i] < 0)
      refuse(fmt::format("has the negative token id {} at position {}", sequence.tokens[i], i));
  }
}

int32_t checked_count(size_t n) {
  if (n > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw std::invalid_argument(fmt::format("{} tokens are too many for one batch", n));
  }
  return static_cast<int32_t>(n);
}

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
  const int64_t n = checked_count(total);
  const auto longs = torch::TensorOptions().dtype(torch::kInt64);
  Batch batch{torch::empty({n}, longs),
              torch::empty({n}, longs),
              torch::empty({static_cast<int64_t>(sequences.size()) + 1}, torch::kInt32),
              {},
              torch::zeros({n}, longs),
              torch::zeros({n}, torch::kFloat32)};
  int64_t* tokens = batch.tokens.data_ptr<int64_t>();
  int64_t* positions = batch.positions.data_ptr<int64_t>();
  int32_t* segments = batch.segments.data_ptr<int32_t>();
  int64_t* targets = batch.targets.data_ptr<int64_t>();
  float* weights = batch.weights.data_ptr<float>();

  int64_t at = 0;
  for (const Sequence& sequence : sequences) {
    *segments++ = static_cast<int32_t>(at);
    const size_t length = sequence.tokens.size();
    for (size_t i = 0; i < length; ++i, ++at) {
      tokens[at] = sequence.tokens[i];
      positions[at] = static_cast<int64_t>(i);
      if (i + 1 < length && sequence.weights[i + 1] != 0) {
        targets[at] = sequence.tokens[i + 1];
        weights[at] = sequence.weights[i + 1];
      }
    }
  }
  *segments = static_cast<int32_t>(at);
  batch.sequences = batch.segments;
  return batch;
}

torch::Tensor pack_values(const std::vector<std::vector<float>>& values) {
  size_t total = 0;
  for (const auto& sequence : values) total += sequence.size();
  torch::Tensor packed = torch::zeros({checked_count(total)}, torch::kFloat32);
  float* out = packed.data_ptr<float>();
  for (const auto& sequence : values) {
    for (size_t i = 0; i + 1 < sequence.size(); ++i) out[i] = sequence[i + 1];
    out += sequence.size();
  }
  return packed;
}

Batch concatenate(const std::vector<Batch>& batches) {
  if (batches.size() == 1) return batches[0];
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
  return {part(batch.tokens),  part(batch.positions),       segments - first, sequences - first, part(batch.targets),
          part(batch.weights), batch.first_sequence + begin};
}

}  // namespace terse::data
