// Computes the bounds of windows, and assembles batches from them.
#include "data/windows.h"

#include <fmt/format.h>

#include <algorithm>

namespace terse::data {

namespace {

// Returns the offsets of the documents that start inside (begin, end), relative to begin.
std::vector<int64_t> cuts_inside(const std::vector<int64_t>& documents, int64_t begin, int64_t end) {
  std::vector<int64_t> cuts;
  for (auto at = std::upper_bound(documents.begin(), documents.end(), begin); at != documents.end() && *at < end;
       ++at) {
    cuts.push_back(*at - begin);
  }
  return cuts;
}

}  // namespace

Windows::Windows(TokenRange range, int64_t seq_len, int64_t first)
    : range_(std::move(range)), seq_len_(seq_len), first_(first) {
  if (!range_ || range_.begin < 0 || range_.end > range_.source->size() || range_.size() < 2) {
    throw std::invalid_argument(
        fmt::format("tokens {} to {} of {} are too few for a window, which needs at least 2 tokens", range_.begin,
                    range_.end, range_ ? range_.source->size() : 0));
  }
  if (seq_len < 1)
    throw std::invalid_argument(fmt::format("the sequence length is {} tokens, expected at least 1", seq_len));
  if (first < 1 || first > seq_len)
    throw std::invalid_argument(fmt::format("the first window is {} tokens, expected 1 to {}", first, seq_len));
  const int64_t inputs = range_.size() - 1;
  count_ = inputs <= first ? 1 : 1 + (inputs - first + seq_len - 1) / seq_len;
}

Windows::Span Windows::span(int64_t window) const {
  if (window < 0 || window >= count_)
    throw std::out_of_range(fmt::format("window {} is out of range: there are {}", window, count_));
  const int64_t start = range_.begin + first_ + (window - 1) * seq_len_;
  return {std::max(range_.begin, start), std::min(range_.end - 1, start + seq_len_)};
}

Batch Windows::batch(const std::vector<int64_t>& windows) const {
  int64_t total = 0;
  for (const int64_t window : windows) total += span(window).end - span(window).begin;
  const auto longs = torch::TensorOptions().dtype(torch::kInt64);
  Batch batch{torch::empty({total}, longs), torch::empty({total}, longs),          {}, {},
              torch::zeros({total}, longs), torch::zeros({total}, torch::kFloat32)};
  int64_t* tokens = batch.tokens.data_ptr<int64_t>();
  int64_t* positions = batch.positions.data_ptr<int64_t>();
  int64_t* targets = batch.targets.data_ptr<int64_t>();
  float* weights = batch.weights.data_ptr<float>();

  std::vector<int32_t> segments, sequences;
  std::vector<int32_t> text;
  int64_t n = 0;  // inputs so far
  for (const int64_t window : windows) {
    const auto [begin, end] = span(window);
    const int64_t length = end - begin;
    text.resize(static_cast<size_t>(length) + 1);
    range_.source->read(begin, text);
    // The token after the window may start a document. Then the last input of the window has no target.
    std::vector<int64_t> cuts = cuts_inside(range_.source->documents(), begin, end + 1);
    int64_t segment = 0;
    sequences.push_back(static_cast<int32_t>(n));
    auto cut = cuts.begin();
    for (int64_t i = 0; i < length; ++i) {
      if (cut != cuts.end() && *cut == i) {
        segment = i;
        ++cut;
      }
      if (segment == i) segments.push_back(static_cast<int32_t>(n + i));
      tokens[n + i] = text[i];
      positions[n + i] = i - segment;
      if (cut == cuts.end() || *cut != i + 1) {
        targets[n + i] = text[i + 1];
        weights[n + i] = 1;
      }
    }
    n += length;
  }
  for (std::vector<int32_t>* starts : {&segments, &sequences}) starts->push_back(static_cast<int32_t>(total));
  batch.segments = torch::tensor(segments, torch::kInt32);
  batch.sequences = torch::tensor(sequences, torch::kInt32);
  return batch;
}

}  // namespace terse::data
