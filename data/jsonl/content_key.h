// A hash of the content of a document or a conversation. It decides what is held out for validation, so equal content
// stays on one side, and new lines move nothing.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/checksum.h"

namespace terse::data {

inline uint64_t content_key(std::string_view content) {
  return xxh3(content.data(), content.size(), 0);
}

// Returns whether the item belongs to the held-out `share`, 0 <= share < 1. An item that a smaller share holds out is
// also held out by a larger one.
inline bool is_held_out(uint64_t key, double share) {
  return static_cast<double>(key >> 11) * 0x1p-53 < share;
}

}  // namespace terse::data
