// Provides batches of windows of a corpus, for pretraining and for validation losses.
#pragma once

#include <optional>

#include "data/batch_stream.h"
#include "data/tokenizers/tokenizer.h"
#include "data/windows.h"

namespace terse::data {

struct PretrainOptions {
  int64_t seq_len = 0;     // inputs of a window, tokens
  int64_t batch_size = 0;  // windows of a batch, over all ranks
  uint64_t seed = 0;
};

// Every epoch visits every window once. Each epoch has its own order and its own shift of the cuts, both from the seed.
// A batch that reaches the end of an epoch continues with the next one, so all batches have batch_size windows. The
// windows at both ends of the corpus may be shorter than `seq_len`. A corpus shorter than a window is one short window.
class PretrainStream final : public BatchStream {
 public:
  // Throws std::invalid_argument when the range has fewer than two tokens, or a number is out of range.
  PretrainStream(TokenRange range, const PretrainOptions& options);

  int64_t batch_size() const override { return options_.batch_size; }
  using BatchStream::next;
  Batch next(int64_t begin, int64_t end) override;
  // Returns the position, and the content hash, range, sequence length and seed to which it applies. The batch size may
  // change on restore.
  nlohmann::json state() const override;
  void restore(const nlohmann::json& state) override;

 private:
  Windows epoch_windows(int64_t epoch) const;

  TokenRange range_;
  PretrainOptions options_;
  int64_t epoch_ = 0;
  int64_t cursor_ = 0;  // windows of this epoch that next() has passed
};

// A fixed set of validation batches, which depends on the arguments alone. It contains all windows of the range once if
// `batches` * batch_size covers them, and otherwise a sample without replacement. Cuts are not shifted.
class ValidationSet {
 public:
  ValidationSet(TokenRange range, int64_t seq_len, int64_t batch_size, int64_t batches, uint64_t seed);
  int64_t size() const { return size_; }  // batches; at most `batches`, at least 1
  // Returns the number of sequences of batch `index`, 0 <= index < size().
  int64_t sequences(int64_t index) const;
  // Returns the sequences [begin, end) of batch `index`, like BatchStream::next().
  Batch batch(int64_t index, int64_t begin, int64_t end) const;
  Batch batch(int64_t index) const { return batch(index, 0, sequences(index)); }
  // Returns the mean bytes of text per token that the batches predict: bits per byte = loss / ln 2 / this. Reads all
  // batches. White space that a symbol tokenizer skips is not part of a token. Returns nullopt when the batches predict
  // no token that has text.
  std::optional<double> bytes_per_token(const Tokenizer& tokenizer) const;

 private:
  Windows windows_;
  int64_t batch_size_;
  int64_t size_;
  uint64_t seed_;
};

}  // namespace terse::data
