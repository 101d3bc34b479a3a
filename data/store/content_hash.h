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
// So it does not depend on the width of the stored tokens.
class ContentHash {
 public:
  explicit ContentHash(const std::string& tokenizer_id);
  void add(std::span<const int32_t> tokens);
  std::string finish(const std::vector<int64_t>& documents);  // hex; the object must not be used afterwards

 private:
  Sha256 hash_;
  int64_t tokens_ = 0;
};

// Throws std::invalid_argument unless the offsets ascend strictly from 0 and stay below `size`.
void check_documents(const std::vector<int64_t>& documents, int64_t size);
// Throws std::out_of_range unless [begin, begin + count) lies in [0, size).
void check_read(int64_t begin, size_t count, int64_t size);

}  // namespace terse::data
