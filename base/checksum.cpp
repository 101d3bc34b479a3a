// CRC-32C comes from a table, one byte at a time, which is fast enough for a few kilobytes a second. XXH3 comes from
// libxxhash, which is compiled into this file alone.
#define XXH_INLINE_ALL
#include "base/checksum.h"

#include <xxhash.h>

#include <array>

namespace terse {
namespace {

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? 0x82F63B78u : 0u);
    table[byte] = value;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = make_table();

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t value = 0xFFFFFFFFu;
  for (char c : bytes) value = (value >> 8) ^ kTable[(value ^ static_cast<uint8_t>(c)) & 0xFFu];
  return ~value;
}

uint32_t masked_crc32c(std::string_view bytes) {
  uint32_t value = crc32c(bytes);
  return ((value >> 15) | (value << 17)) + 0xA282EAD8u;
}

uint64_t xxh3(const void* bytes, size_t size, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, size, seed);
}

}  // namespace terse
