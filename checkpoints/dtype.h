// The element types that a checkpoint can hold, exactly: name on disk, width, and torch's type.
#pragma once

#include <torch/types.h>

#include <string>
#include <string_view>

namespace terse::checkpoints {

// How HDF5 stores the elements. The 16-bit floats go as unsigned integers, bit by bit; a dtype attribute says what they
// are.
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

std::string dtype_names();  // all of them, for messages

}  // namespace terse::checkpoints
