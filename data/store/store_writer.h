// Writes a token store piece by piece. Only the document offsets, the keys and one block of tokens stay in memory.
#pragma once

#include "base/durable.h"
#include "data/store/content_hash.h"
#include "data/store/hdf5_writer.h"
#include "data/store/token_store.h"

namespace terse::data {

class StoreWriter {
 public:
  // `tokenizer` must outlive the writer. Throws DiskError, as do append() and finish().
  StoreWriter(const std::filesystem::path& output, const Tokenizer& tokenizer,
              StoreContent content = StoreContent::kDocuments);

  void append(std::span<const int32_t> tokens);
  void end_document();  // a document without tokens does not count
  bool document_is_empty() const { return size_ == document_begin_; }
  int64_t size() const { return size_; }
  // Adds a conversation, to a store of conversations. `learned` is parallel to `tokens`, which are not empty.
  void add_conversation(std::span<const int32_t> tokens, const std::vector<bool>& learned, uint64_t key);

  struct Origin {
    std::vector<std::string> sources;
    std::string separator;
    int64_t text_bytes = 0;
    int64_t lines = 0;  // of JSON Lines; 0: the store is not made of any
    int64_t bad_lines = 0;
  };
  // Completes the store and publishes it under its name. Throws std::invalid_argument when there is no token.
  void finish(const Origin& origin);

 private:
  void flush();
  void write_documents();

  TemporaryFile temporary_;
  const Tokenizer& tokenizer_;
  StoreContent content_;
  ContentHash hash_;
  Hdf5Writer file_;
  hid_t type_;
  Hdf5Handle tokens_, learned_;
  std::vector<int32_t> pending_;
  std::vector<uint8_t> pending_learned_;
  std::vector<int64_t> documents_;
  std::vector<uint64_t> keys_;
  int64_t size_ = 0;
  int64_t document_begin_ = 0;
};

// Returns the bytes of a stored token for a vocabulary of this size: 1, 2 or 4.
int64_t token_width(int64_t vocab_size);

}  // namespace terse::data
