// Batches of conversations for supervised fine-tuning, and those of its validation loss.
#pragma once

#include "data/batch_stream.h"
#include "data/conversations/conversations.h"

namespace terse::data {

// Every epoch visits every conversation once, in an order of its own that follows from the seed. A batch that reaches
// the end of an epoch continues with the next one, so all batches have batch_size conversations. Each conversation is a
// sequence without padding, and attention never crosses it.
class ConversationStream final : public BatchStream {
 public:
  // Throws std::invalid_argument when the set is empty or `batch_size` is below 1.
  ConversationStream(ConversationSet set, int64_t batch_size, uint64_t seed);

  int64_t batch_size() const override { return batch_size_; }
  using BatchStream::next;
  Batch next(int64_t begin, int64_t end) override;
  // Returns the position, and the content hash and seed to which it applies. The batch size may change on restore.
  nlohmann::json state() const override;
  void restore(const nlohmann::json& state) override;

 private:
  ConversationSet set_;
  int64_t batch_size_;
  uint64_t seed_;
  int64_t epoch_ = 0;
  int64_t cursor_ = 0;  // conversations of this epoch that next() has passed
};

// The first `most` conversations of a set in an order that follows from the seed, in batches. All of them if there are
// fewer.
class ConversationSample {
 public:
  // Throws std::invalid_argument when the set is empty, or a number is below 1.
  ConversationSample(ConversationSet set, int64_t batch_size, int64_t most, uint64_t seed);

  int64_t size() const { return (count_ + batch_size_ - 1) / batch_size_; }  // batches
  // Returns the number of sequences of batch `index`, 0 <= index < size().
  int64_t sequences(int64_t index) const;
  // Returns the sequences [begin, end) of batch `index`, like BatchStream::next().
  Batch batch(int64_t index, int64_t begin, int64_t end) const;

 private:
  ConversationSet set_;
  int64_t batch_size_;
  int64_t count_;
  uint64_t seed_;
};

}  // namespace terse::data
