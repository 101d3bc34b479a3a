// Computes CRC-32C (Castagnoli). Event files guard each record with this checksum.
#pragma once

#include <cstdint>
#include <string_view>

namespace terse {

uint32_t crc32c(std::string_view bytes);

// Returns the checksum in the masked form of TFRecord: rotated and offset. The mask keeps the checksum sound when the
// data itself contains checksums.
uint32_t masked_crc32c(std::string_view bytes);

}  // namespace terse
