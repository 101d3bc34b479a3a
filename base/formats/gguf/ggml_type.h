// The element types of ggml, which GGUF files use (https://github.com/ggml-org/ggml, include/ggml.h, enum ggml_type).
// Most of them are blocks: a number of neighbours in a row share scales.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace terse {

// The types that terse converts. The values are those in a GGUF file. A file may have other types of the format, whose
// sizes are known here and whose names ggml_name() gives.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

std::optional<GgmlType> find_ggml_type(uint32_t number);  // nullopt: the format has no such type
std::string_view ggml_name(GgmlType type);                // "Q4_K"
int64_t ggml_block_elements(GgmlType type);
int64_t ggml_block_bytes(GgmlType type);

// Bytes of a tensor of this row-major shape; nullopt when the shape is impossible, when the size overflows, or when the
// rows are no whole blocks.
std::optional<uint64_t> ggml_bytes(GgmlType type, const std::vector<int64_t>& shape);

}  // namespace terse
