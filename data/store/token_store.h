// Stores a tokenised corpus in one HDF5 file, the token store.
//
// Layout, format version 1 (all integers are little-endian):
//   /tokens      [n] uint8, uint16 or uint32: the smallest that holds the vocabulary; chunks of 16 Ki tokens
//   /documents   [d] int64: where each document starts; the first is 0
//   /tokenizer   [t] uint8: Tokenizer::definition(), so that the file needs no companion
//   attributes of /: format_version, tokenizer_id, content_sha256, sources, separator, text_bytes, created_by; for JSON
//     Lines also lines and bad_lines
// In a store of conversations, each document is one. It also has:
//   /learned     [n] uint8: 1 for each token that fine-tuning learns, 0 for the others
//   /keys        [d] uint64: a hash of each conversation's content, whatever the tokenizer
// All datasets have the Fletcher32 filter. Only hard links, chunked storage and this filter are accepted, so a store
// cannot make HDF5 read any other file. Sizes are checked against the size of the file before memory is allocated. Each
// chunk's checksum is checked when the chunk is read.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/store/token_source.h"
#include "data/tokenizers/tokenizer.h"

namespace terse::data {

enum class StoreContent { kDocuments, kConversations };

struct StoreInfo {
  std::string path;
  int64_t file_bytes = 0;
  int64_t format_version = 0;
  int64_t tokens = 0;
  int64_t documents = 0;
  int64_t longest_document = 0;   // tokens
  int64_t shortest_document = 0;  // tokens
  int64_t token_bytes = 0;        // width of a stored token: 1, 2 or 4
  int64_t text_bytes = 0;         // of the source text, separators left out
  int64_t vocab_size = 0;
  std::string tokenizer_id;
  std::string content_sha256;
  std::string separator;             // empty: each source was one document
  std::vector<std::string> sources;  // names of the text files
  int64_t lines = 0;                 // of JSON Lines; 0: the store is not made of any
  int64_t bad_lines = 0;             // those that were left out
  std::string created_by;
};

struct StoreOptions {
  StoreContent content = StoreContent::kDocuments;
  int64_t max_in_memory_bytes = int64_t{512} << 20;  // a larger store is read from disk, chunk by chunk
};

class TokenStore final : public TokenSource {
 public:
  // Opens a store and checks its structure and sizes, but not its hash. Throws DataError that names the file and the
  // faulty dataset or attribute.
  static std::shared_ptr<const TokenStore> open(const std::filesystem::path& path, const StoreOptions& options = {});
  ~TokenStore() override;

  int64_t size() const override;
  const std::vector<int64_t>& documents() const override;
  void read(int64_t begin, std::span<int32_t> out) const override;
  std::string content_hash() const override;

  // These two are for conversations: one copies the marks of tokens [begin, begin + out.size()), and the other returns
  // the key of each document.
  // Both throw std::logic_error for a store of documents; read_learned() also throws what read() throws.
  void read_learned(int64_t begin, std::span<uint8_t> out) const;
  const std::vector<uint64_t>& keys() const;

  const StoreInfo& info() const;
  std::shared_ptr<const Tokenizer> tokenizer() const;
  // Reads all tokens and compares their hash with the stored one. Throws DataError with both values when they differ.
  void verify(const Progress& progress = {}) const;

 private:
  struct Impl;
  explicit TokenStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Returns whether the file starts with HDF5's signature. Throws DataError when it is missing or is not a regular file,
// and DiskError when it cannot be read.
bool is_hdf5(const std::filesystem::path& path);

// Describes a store for `terse data inspect`, without loading its tokens.
StoreInfo describe_store(const std::filesystem::path& path);
std::string to_text(const StoreInfo& info);  // aligned "name  value" lines

}  // namespace terse::data
