// Holds the one table of names and widths.
#include "base/formats/safetensors/dtype.h"

#include <array>

#include "base/formats/tensor_shape.h"

namespace terse {

namespace {

struct Info {
  std::string_view name;
  int bits;
};

// The index is the value of the enum.
constexpr std::array<Info, 22> kDtypes = {{
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
}};

}  // namespace

std::string_view safetensors_name(SafetensorsDtype dtype) {
  return kDtypes.at(static_cast<size_t>(dtype)).name;
}

std::optional<SafetensorsDtype> find_safetensors_dtype(std::string_view name) {
  for (size_t i = 0; i < kDtypes.size(); ++i) {
    if (kDtypes[i].name == name) return static_cast<SafetensorsDtype>(i);
  }
  return std::nullopt;
}

int safetensors_bits(SafetensorsDtype dtype) {
  return kDtypes.at(static_cast<size_t>(dtype)).bits;
}

std::string safetensors_dtype_names() {
  std::string names;
  for (const Info& dtype : kDtypes) names += (names.empty() ? "" : ", ") + std::string(dtype.name);
  return names;
}

std::optional<uint64_t> safetensors_bytes(SafetensorsDtype dtype, const std::vector<int64_t>& shape) {
  const std::optional<int64_t> elements = element_count(shape);
  int64_t bits = 0;
  if (!elements || __builtin_mul_overflow(*elements, int64_t{safetensors_bits(dtype)}, &bits)) return std::nullopt;
  if (bits % 8 != 0) return std::nullopt;
  return static_cast<uint64_t>(bits / 8);
}

}  // namespace terse
