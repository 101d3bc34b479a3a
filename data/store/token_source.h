// Defines a read-only sequence of token ids, divided into documents. Streams draw windows from it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace terse::data {

// All functions may be called from several threads.
class TokenSource {
 public:
  virtual ~TokenSource() = default;
  virtual int64_t size() const = 0;  // tokens
  // Returns the start of each document, strictly ascending from 0. Every document has at least one token.
  virtual const std::vector<int64_t>& documents() const = 0;
  // Copies tokens [begin, begin + out.size()). Throws std::out_of_range outside [0, size()), DataError on damage.
  virtual void read(int64_t begin, std::span<int32_t> out) const = 0;
  // Returns the SHA-256 (hex) of tokenizer id, tokens and documents.
  virtual std::string content_hash() const = 0;
};

// Tokens [begin, end) of a source, e.g. the training part of a corpus.
struct TokenRange {
  std::shared_ptr<const TokenSource> source;
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
  explicit operator bool() const { return source != nullptr; }
};

// A source in memory, for tests and small texts. With empty `documents` all tokens are one document. Throws
// std::invalid_argument when the offsets violate the rule above or an id is negative.
class MemoryTokens final : public TokenSource {
 public:
  MemoryTokens(std::vector<int32_t> tokens, std::vector<int64_t> documents = {}, std::string tokenizer_id = "");

  int64_t size() const override { return static_cast<int64_t>(tokens_.size()); }
  const std::vector<int64_t>& documents() const override { return documents_; }
  void read(int64_t begin, std::span<int32_t> out) const override;
  std::string content_hash() const override { return hash_; }

 private:
  std::vector<int32_t> tokens_;
  std::vector<int64_t> documents_;
  std::string hash_;
};

// Returns the range of all tokens of `source`.
TokenRange whole(std::shared_ptr<const TokenSource> source);

}  // namespace terse::data
