// Draws the shuffled windows of each epoch. Order and cuts follow from seed and epoch, so the position is only an epoch
// and a cursor.
#include "data/pretrain_stream.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "base/philox.h"
#include "data/pack.h"
#include "data/permutation.h"

namespace terse::data {

namespace {

// The epoch number for the order of validation windows. No training epoch reaches it.
constexpr uint64_t kValidationEpoch = ~uint64_t{0};

template <typename T>
void require_equal(const nlohmann::json& state, const char* name, const T& here) {
  const T there = state.at(name).get<T>();
  if (there != here) {
    throw ConfigError(fmt::format(
        "the saved position in the training data does not match this run: it was saved with {} {}, but this run has {}",
        name, there, here));
  }
}

}  // namespace

PretrainStream::PretrainStream(TokenRange range, const PretrainOptions& options)
    : range_(std::move(range)), options_(options) {
  if (options.batch_size < 1)
    throw std::invalid_argument(fmt::format("the batch size is {} sequences, expected at least 1", options.batch_size));
  epoch_windows(0);  // throws on a bad range or sequence length
}

Windows PretrainStream::epoch_windows(int64_t epoch) const {
  // Uses coordinate 0 of the epoch's random numbers. Permutation uses the coordinates from 2^32 on.
  const uint32_t word = philox(options_.seed, RandomStream::kShuffle, static_cast<uint64_t>(epoch), 0)[0];
  const int64_t seq_len = std::max<int64_t>(options_.seq_len, 0);
  const int64_t first = 1 + uniform_below(word, static_cast<uint32_t>(seq_len));
  return Windows(range_, options_.seq_len, first);
}

Batch PretrainStream::next(int64_t begin, int64_t end) {
  require_range(begin, end, options_.batch_size);
  std::vector<Batch> parts;
  for (int64_t given = 0; given < options_.batch_size;) {
    const Windows windows = epoch_windows(epoch_);
    const Permutation order(options_.seed, static_cast<uint64_t>(epoch_), windows.count());
    const int64_t take = std::min(options_.batch_size - given, windows.count() - cursor_);
    std::vector<int64_t> mine;
    for (int64_t i = std::max(begin, given); i < std::min(end, given + take); ++i)
      mine.push_back(order(cursor_ + i - given));
    if (!mine.empty() || parts.empty()) parts.push_back(windows.batch(mine));
    given += take;
    cursor_ += take;
    if (cursor_ == windows.count()) {
      cursor_ = 0;
      ++epoch_;
    }
  }
  return concatenate(parts);
}

nlohmann::json PretrainStream::state() const {
  return {{"epoch", epoch_},
          {"cursor", cursor_},
          {"content_sha256", range_.source->content_hash()},
          {"first_token", range_.begin},
          {"end_token", range_.end},
          {"context", options_.seq_len},  // the name in checkpoints
          {"seed", options_.seed}};
}

void PretrainStream::restore(const nlohmann::json& state) {
  int64_t epoch = 0;
  int64_t cursor = 0;
  try {
    require_equal(state, "content_sha256", range_.source->content_hash());
    require_equal(state, "first_token", range_.begin);
    require_equal(state, "end_token", range_.end);
    require_equal(state, "context", options_.seq_len);
    require_equal(state, "seed", options_.seed);
    epoch = state.at("epoch").get<int64_t>();
    cursor = state.at("cursor").get<int64_t>();
  } catch (const nlohmann::json::exception& error) {
    throw DataError(fmt::format("the saved position in the training data is damaged: {}", error.what()));
  }
  if (epoch < 0 || cursor < 0 || cursor >= epoch_windows(epoch).count()) {
    throw DataError(
        fmt::format("the saved position in the training data does not exist: epoch {}, window {}", epoch, cursor));
  }
  epoch_ = epoch;
  cursor_ = cursor;
}

ValidationSet::ValidationSet(TokenRange range, int64_t seq_len, int64_t batch_size, int64_t batches, uint64_t seed)
    : windows_(std::move(range), seq_len, std::max<int64_t>(seq_len, 1)), batch_size_(batch_size), seed_(seed) {
  if (batch_size < 1 || batches < 1) {
    throw std::invalid_argument(
        fmt::format("{} validation batches of {} sequences: expected at least 1 of each", batches, batch_size));
  }
  size_ = std::min(batches, (windows_.count() + batch_size - 1) / batch_size);
}

int64_t ValidationSet::sequences(int64_t index) const {
  if (index < 0 || index >= size_)
    throw std::out_of_range(fmt::format("validation batch {} is out of range: there are {}", index, size_));
  return std::min(batch_size_, windows_.count() - index * batch_size_);
}

Batch ValidationSet::batch(int64_t index, int64_t begin, int64_t end) const {
  require_range(begin, end, sequences(index));
  const Permutation order(seed_, kValidationEpoch, windows_.count());
  std::vector<int64_t> chosen;
  for (int64_t i = begin; i < end; ++i) chosen.push_back(order(index * batch_size_ + i));
  return windows_.batch(chosen);
}

std::optional<double> ValidationSet::bytes_per_token(const Tokenizer& tokenizer) const {
  std::vector<size_t> bytes_of(static_cast<size_t>(tokenizer.vocab_size()));
  for (size_t id = 0; id < bytes_of.size(); ++id) bytes_of[id] = tokenizer.decode({static_cast<int32_t>(id)}).size();
  size_t tokens = 0, bytes = 0;
  for (int64_t index = 0; index < size_; ++index) {
    const Batch read = batch(index);
    const int64_t* target = read.targets.data_ptr<int64_t>();
    const float* weight = read.weights.data_ptr<float>();
    for (int64_t i = 0; i < read.token_count(); ++i) {
      if (weight[i] == 0) continue;
      ++tokens;
      bytes += bytes_of.at(static_cast<size_t>(target[i]));
    }
  }
  if (bytes == 0) return std::nullopt;
  return static_cast<double>(bytes) / static_cast<double>(tokens);
}

}  // namespace terse::data
