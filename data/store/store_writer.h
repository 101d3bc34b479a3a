// Writes a token store piece by piece. Only the document offsets and one block of tokens stay in memory.
#pragma once

#include "base/durable.h"
#include "data/store/content_hash.h"
#include "data/store/hdf5_writer.h"
#include "data/store/token_store.h"

namespace terse::data {

class StoreWriter {
 public:
  // `tokenizer` must outlive the writer. Throws DiskError, as do append() and finish().
  StoreWriter(const std::filesystem::path& output, const Tokenizer& tokenizer);

  void append(std::span<const int32_t> tokens);
  void end_document();  // a document without tokens does not count
  bool document_is_empty() const { return size_ == document_begin_; }
  int64_t size() const { return size_; }

  // Completes the store and publishes it under its name. Throws std::invalid_argument when there is no token.
  void finish(const std::vector<std::string>& sources, const std::string& separator, int64_t text_bytes);

 private:
  void flush();

  TemporaryFile temporary_;
  const Tokenizer& tokenizer_;
  ContentHash hash_;
  Hdf5Writer file_;
  hid_t type_;
  Hdf5Handle tokens_;
  std::vector<int32_t> pending_;
  std::vector<int64_t> documents_;
  int64_t size_ = 0;
  int64_t document_begin_ = 0;
};

// Returns the bytes of a stored token for a vocabulary of this size: 1, 2 or 4.
int64_t token_width(int64_t vocab_size);

}  // namespace terse::data
