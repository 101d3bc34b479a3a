// The element types of the safetensors format, in the order in which its library sorts tensors
// (https://github.com/huggingface/safetensors, safetensors/src/tensor.rs, enum Dtype).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace terse {

// A file holds the tensors of a later type first. So wider types come before narrower ones, and all are aligned.
enum class SafetensorsDtype {
  kBool,
  kF4,  // two elements in a byte
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64,
};

std::string_view safetensors_name(SafetensorsDtype dtype);                      // "BF16"
std::optional<SafetensorsDtype> find_safetensors_dtype(std::string_view name);  // nullopt: no such type
int safetensors_bits(SafetensorsDtype dtype);                                   // of one element
std::string safetensors_dtype_names();                                          // all names, for messages

// Bytes of a tensor in a file; nullopt when the shape is impossible, when the size overflows, or when the elements do
// not fill whole bytes.
std::optional<uint64_t> safetensors_bytes(SafetensorsDtype dtype, const std::vector<int64_t>& shape);

}  // namespace terse
