// CRC-32C (Castagnoli), which event files use to guard each record.
#pragma once

#include <cstdint>
#include <string_view>

namespace terse {

uint32_t crc32c(std::string_view bytes);

// The TFRecord form: rotated and offset, so that a checksum of data that holds checksums stays sound.
uint32_t masked_crc32c(std::string_view bytes);

}  // namespace terse
