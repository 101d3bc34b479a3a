// Parses the JSON header of a safetensors file.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/formats/safetensors/dtype.h"

namespace terse {

struct SafetensorsEntry {
  std::string name;
  SafetensorsDtype dtype = SafetensorsDtype::kF32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // in the data
  uint64_t end = 0;    // begin + the size of a tensor of this dtype and shape
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsEntry> entries;  // in the order of their data, which they cover without gap or overlap
};

// Parses `text`, the header of a file with `data_bytes` bytes of data. Throws DataError, "<where>: ...", which names
// the tensor, what was found and what was expected.
SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes, const std::string& where);

}  // namespace terse
