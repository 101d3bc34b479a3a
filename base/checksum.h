// Checksums that detect flipped bits. Unlike SHA-256, they give no protection against an adversary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace terse {

// CRC-32C (Castagnoli). Event files guard each record with this checksum.
uint32_t crc32c(std::string_view bytes);

// Returns the checksum in the masked form of TFRecord: rotated and offset. The mask keeps the checksum sound when the
// data itself contains checksums.
uint32_t masked_crc32c(std::string_view bytes);

// XXH3, a fast hash of 64 bits. Equal bytes have another hash under another seed.
uint64_t xxh3(const void* bytes, size_t size, uint64_t seed);

}  // namespace terse
