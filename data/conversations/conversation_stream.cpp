// The order of an epoch follows from seed and epoch, so the position is only an epoch and a cursor.
#include "data/conversations/conversation_stream.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "data/permutation.h"

namespace terse::data {

namespace {

// The epoch number for the order of validation. No training epoch reaches it.
constexpr uint64_t kValidationEpoch = ~uint64_t{0};

void require_some(const ConversationSet& set, int64_t batch_size) {
  if (set.size() > 0 && batch_size >= 1) return;
  throw std::invalid_argument(
      fmt::format("batches of {} of {} conversations: expected at least 1 of each", batch_size, set.size()));
}

template <typename T>
void require_equal(const nlohmann::json& state, const char* name, const T& here) {
  const T there = state.at(name).get<T>();
  if (there != here) {
    throw ConfigError(fmt::format(
        "the saved position in the conversations does not match this run: it was saved with {} {}, but this run has {}",
        name, there, here));
  }
}

}  // namespace

ConversationStream::ConversationStream(ConversationSet set, int64_t batch_size, uint64_t seed)
    : set_(std::move(set)), batch_size_(batch_size), seed_(seed) {
  require_some(set_, batch_size);
}

Batch ConversationStream::next(int64_t begin, int64_t end) {
  require_range(begin, end, batch_size_);
  std::vector<Sequence> mine;
  for (int64_t given = 0; given < batch_size_;) {
    const Permutation order(seed_, static_cast<uint64_t>(epoch_), set_.size());
    const int64_t take = std::min(batch_size_ - given, set_.size() - cursor_);
    for (int64_t i = std::max(begin, given); i < std::min(end, given + take); ++i)
      mine.push_back(set_.at(order(cursor_ + i - given)));
    given += take;
    cursor_ += take;
    if (cursor_ == set_.size()) {
      cursor_ = 0;
      ++epoch_;
    }
  }
  return pack(mine);
}

nlohmann::json ConversationStream::state() const {
  return {{"epoch", epoch_}, {"cursor", cursor_}, {"content_sha256", set_.content_hash()}, {"seed", seed_}};
}

void ConversationStream::restore(const nlohmann::json& state) {
  int64_t epoch = 0;
  int64_t cursor = 0;
  try {
    require_equal(state, "content_sha256", set_.content_hash());
    require_equal(state, "seed", seed_);
    epoch = state.at("epoch").get<int64_t>();
    cursor = state.at("cursor").get<int64_t>();
  } catch (const nlohmann::json::exception& error) {
    throw DataError(fmt::format("the saved position in the conversations is damaged: {}", error.what()));
  }
  if (epoch < 0 || cursor < 0 || cursor >= set_.size()) {
    throw DataError(fmt::format("the saved position in the conversations does not exist: epoch {}, conversation {}",
                                epoch, cursor));
  }
  epoch_ = epoch;
  cursor_ = cursor;
}

ConversationSample::ConversationSample(ConversationSet set, int64_t batch_size, int64_t most, uint64_t seed)
    : set_(std::move(set)), batch_size_(batch_size), count_(std::min(most, set_.size())), seed_(seed) {
  require_some(set_, std::min(batch_size, most));
}

int64_t ConversationSample::sequences(int64_t index) const {
  if (index < 0 || index >= size())
    throw std::out_of_range(fmt::format("validation batch {} is out of range: there are {}", index, size()));
  return std::min(batch_size_, count_ - index * batch_size_);
}

Batch ConversationSample::batch(int64_t index, int64_t begin, int64_t end) const {
  require_range(begin, end, sequences(index));
  const Permutation order(seed_, kValidationEpoch, set_.size());
  std::vector<Sequence> chosen;
  for (int64_t i = begin; i < end; ++i) chosen.push_back(set_.at(order(index * batch_size_ + i)));
  return pack(chosen);
}

}  // namespace terse::data
