// One table holds all element types; a linear search is enough for it.
#include "checkpoints/format/dtype.h"

#include <array>

namespace terse::checkpoints {

namespace {

constexpr std::array<DtypeInfo, 10> kDtypes = {{
    {"bool", torch::kBool, Storage::kU8, 1},
    {"uint8", torch::kUInt8, Storage::kU8, 1},
    {"int8", torch::kInt8, Storage::kI8, 1},
    {"int16", torch::kInt16, Storage::kI16, 2},
    {"int32", torch::kInt32, Storage::kI32, 4},
    {"int64", torch::kInt64, Storage::kI64, 8},
    {"float16", torch::kFloat16, Storage::kU16, 2},
    {"bfloat16", torch::kBFloat16, Storage::kU16, 2},
    {"float32", torch::kFloat32, Storage::kF32, 4},
    {"float64", torch::kFloat64, Storage::kF64, 8},
}};

}  // namespace

const DtypeInfo* find_dtype(torch::ScalarType type) {
  for (const DtypeInfo& dtype : kDtypes) {
    if (dtype.type == type) return &dtype;
  }
  return nullptr;
}

const DtypeInfo* find_dtype(std::string_view name) {
  for (const DtypeInfo& dtype : kDtypes) {
    if (dtype.name == name) return &dtype;
  }
  return nullptr;
}

std::string dtype_names() {
  std::string names;
  for (const DtypeInfo& dtype : kDtypes) names += (names.empty() ? "" : ", ") + std::string(dtype.name);
  return names;
}

}  // namespace terse::checkpoints
