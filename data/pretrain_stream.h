// Batches of windows of a corpus, for pretraining and for validation losses.
#pragma once

#include <optional>

#include "data/batch_stream.h"
#include "data/tokenizer.h"
#include "data/windows.h"

namespace terse::data {

struct PretrainOptions {
  int64_t context = 0;     // inputs of a window, tokens
  int64_t batch_size = 0;  // windows of a batch, over all ranks
  uint64_t seed = 0;
};

// Every epoch visits every window once, in an order of its own, with cuts shifted by an amount of its own (both from
// the seed). A batch that reaches the end of an epoch goes on with the next, so all batches have batch_size windows.
// The first and the last window of an epoch may be shorter than `context`; a corpus shorter than a window is one short
// window.
class PretrainStream final : public BatchStream {
 public:
  // Throws std::invalid_argument when the range has no two tokens, or a number is out of range.
  PretrainStream(TokenRange range, const PretrainOptions& options);

  int64_t batch_size() const override { return options_.batch_size; }
  using BatchStream::next;
  Batch next(int64_t begin, int64_t end) override;
  // Position, plus what it is a position in: content hash, range, context, seed. The batch size may change on restore.
  nlohmann::json state() const override;
  void restore(const nlohmann::json& state) override;

 private:
  Windows epoch_windows(int64_t epoch) const;

  TokenRange range_;
  PretrainOptions options_;
  int64_t epoch_ = 0;
  int64_t cursor_ = 0;  // windows of this epoch that have been given
};

// A fixed set of validation batches: the same for every call and every run with these arguments. All windows of the
// range, each once, when `batches` * batch_size covers them, else a sample without replacement. Cuts are not shifted.
class ValidationSet {
 public:
  ValidationSet(TokenRange range, int64_t context, int64_t batch_size, int64_t batches, uint64_t seed);
  int64_t size() const { return size_; }  // batches; at most `batches`, at least 1
  // Of batch 0 <= index < size().
  int64_t sequences(int64_t index) const;
  // Of these its sequences [begin, end), as BatchStream::next gives them.
  Batch batch(int64_t index, int64_t begin, int64_t end) const;
  Batch batch(int64_t index) const { return batch(index, 0, sequences(index)); }
  // Mean bytes of text of the tokens that the batches predict: bits per byte = loss / ln 2 / this. Reads all batches.
  // White space that a symbol tokenizer skips is no part of a token. Nothing when no token is predicted, or only ones
  // without text.
  std::optional<double> bytes_per_token(const Tokenizer& tokenizer) const;

 private:
  Windows windows_;
  int64_t batch_size_;
  int64_t size_;
  uint64_t seed_;
};

}  // namespace terse::data
