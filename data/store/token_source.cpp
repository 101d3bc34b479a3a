// Implements the content hash and the checks that all sources share, and the source in memory.
#include "data/store/token_source.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/store/content_hash.h"

namespace terse::data {

namespace {

std::string offset_error(const std::vector<int64_t>& documents, int64_t size) {
  if (documents.empty() || documents.front() != 0) return "the first document must start at 0";
  for (size_t i = 1; i < documents.size(); ++i) {
    if (documents[i] <= documents[i - 1]) {
      return fmt::format("document {} starts at {}, not after document {} at {}", i, documents[i], i - 1,
                         documents[i - 1]);
    }
  }
  if (documents.back() >= size) {
    return fmt::format("document {} starts at {}, beyond the {} tokens", documents.size() - 1, documents.back(), size);
  }
  return {};
}

}  // namespace

void check_documents(const std::vector<int64_t>& documents, int64_t size) {
  const std::string error = offset_error(documents, size);
  if (!error.empty()) throw std::invalid_argument(error);
}

void check_read(int64_t begin, size_t count, int64_t size) {
  if (begin < 0 || begin > size || static_cast<int64_t>(count) > size - begin) {
    throw std::out_of_range(
        fmt::format("{} tokens from position {} were requested, but there are {}", count, begin, size));
  }
}

ContentHash::ContentHash(const std::string& tokenizer_id, bool conversations) : conversations_(conversations) {
  hash_.update((conversations ? "terse conversations 1\n" : "terse tokens 1\n") + tokenizer_id + "\n");
}

void ContentHash::add(std::span<const int32_t> tokens) {
  hash_.update(tokens.data(), tokens.size_bytes());
  tokens_ += static_cast<int64_t>(tokens.size());
}

void ContentHash::add_learned(std::span<const uint8_t> learned) {
  learned_.update(learned.data(), learned.size());
}

std::string ContentHash::finish(const std::vector<int64_t>& documents, std::span<const uint64_t> keys) {
  hash_.update(documents.data(), documents.size() * sizeof(int64_t));
  const int64_t counts[2] = {tokens_, static_cast<int64_t>(documents.size())};
  hash_.update(counts, sizeof(counts));
  if (conversations_) {
    hash_.update(learned_.hex());
    hash_.update(keys.data(), keys.size_bytes());
  }
  return hash_.hex();
}

MemoryTokens::MemoryTokens(std::vector<int32_t> tokens, std::vector<int64_t> documents, std::string tokenizer_id)
    : tokens_(std::move(tokens)), documents_(std::move(documents)) {
  if (documents_.empty()) documents_ = {0};
  check_documents(documents_, size());
  const auto negative = std::find_if(tokens_.begin(), tokens_.end(), [](int32_t id) { return id < 0; });
  if (negative != tokens_.end()) {
    throw std::invalid_argument(fmt::format("token {} is negative: {}", negative - tokens_.begin(), *negative));
  }
  ContentHash hash(tokenizer_id);
  hash.add(tokens_);
  hash_ = hash.finish(documents_);
}

void MemoryTokens::read(int64_t begin, std::span<int32_t> out) const {
  check_read(begin, out.size(), size());
  std::copy_n(tokens_.begin() + begin, out.size(), out.begin());
}

TokenRange whole(std::shared_ptr<const TokenSource> source) {
  const int64_t size = source->size();
  return {std::move(source), 0, size};
}

}  // namespace terse::data
