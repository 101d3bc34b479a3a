// Provides what all token sources share: the hash of their content, and checks of document offsets and read ranges.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/sha256.h"

namespace terse::data {

static_assert(std::endian::native == std::endian::little, "token stores and their hashes are little-endian");

// SHA-256 of "terse tokens 1\n<tokenizer id>\n", the tokens as int32, the document offsets as int64, and both counts.
// So it does not depend on the width of the stored tokens. For conversations, "terse conversations 1" stands in its
// place, and the SHA-256 of the learned marks and the keys follow.
class ContentHash {
 public:
  explicit ContentHash(const std::string& tokenizer_id, bool conversations = false);
  void add(std::span<const int32_t> tokens);
  void add_learned(std::span<const uint8_t> learned);
  // Returns hex digits. The object must not be used afterwards.
  std::string finish(const std::vector<int64_t>& documents, std::span<const uint64_t> keys = {});

 private:
  Sha256 hash_;
  Sha256 learned_;
  bool conversations_;
  int64_t tokens_ = 0;
};

// Throws std::invalid_argument unless the offsets ascend strictly from 0 and stay below `size`.
void check_documents(const std::vector<int64_t>& documents, int64_t size);
// Throws std::out_of_range unless [begin, begin + count) lies in [0, size).
void check_read(int64_t begin, size_t count, int64_t size);

}  // namespace terse::data
