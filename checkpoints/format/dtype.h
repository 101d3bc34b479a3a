// The element types that a checkpoint can hold exactly, with their names on disk, widths and torch types.
#pragma once

#include <torch/types.h>

#include <string>
#include <string_view>

namespace terse::checkpoints {

// How HDF5 stores the elements. A 16-bit float is stored as an unsigned integer with the same bits, and a dtype
// attribute names its type.
enum class Storage { kU8, kI8, kI16, kU16, kI32, kI64, kF32, kF64 };

struct DtypeInfo {
  std::string_view name;  // "bfloat16"
  torch::ScalarType type;
  Storage storage;
  int64_t bytes;  // of one element
};

// nullptr when the type cannot be stored (complex, quantized, ...) or the name is unknown.
const DtypeInfo* find_dtype(torch::ScalarType type);
const DtypeInfo* find_dtype(std::string_view name);

std::string dtype_names();  // all names, for messages

}  // namespace terse::checkpoints
