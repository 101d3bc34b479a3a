// Reads safetensors files (https://github.com/huggingface/safetensors, section Format). A file holds the length of its
// header as a little-endian u64, the header as JSON, and the data of all tensors, row-major and little-endian:
//
//   {"__metadata__": {"format": "pt"}, "NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
//
// The reader is strict: every byte of the data belongs to exactly one tensor.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/formats/mapped_file.h"
#include "base/formats/safetensors/dtype.h"

namespace terse {

constexpr uint64_t kMaxSafetensorsHeader = 100'000'000;  // bytes; the limit of the format

struct SafetensorsTensor {
  std::string name;
  SafetensorsDtype dtype = SafetensorsDtype::kF32;
  std::vector<int64_t> shape;
  std::string_view bytes;  // in the file
};

// One file. May be read from several threads. Its memory is at most 16 times that of the header. The data of tensors
// are views of the file, which are valid as long as this object.
class SafetensorsFile {
 public:
  // Maps the file and reads its header. Throws DiskError when it cannot be read, and DataError when it is not a valid
  // file; the message names the file and the tensor.
  explicit SafetensorsFile(const std::filesystem::path& path);
  // Reads a file that is in memory. `bytes` must outlive this object; `name` is for messages.
  SafetensorsFile(std::string_view bytes, std::string name);

  const std::string& name() const { return name_; }  // the path, for messages
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }  // in the order of their data

  // nullptr when there is no such tensor.
  const SafetensorsTensor* find(std::string_view tensor) const;
  // Throws DataError when there is no such tensor.
  const SafetensorsTensor& tensor(std::string_view tensor) const;

  // Returns the bytes of rows [first, first + count) of a tensor of this file (row_count() of its shape). Throws
  // std::out_of_range when it has not so many rows, and DataError when its rows do not begin at whole bytes.
  std::string_view rows(const SafetensorsTensor& tensor, int64_t first, int64_t count) const;
  // Converts these rows to fp32: F32, F16 and BF16 exactly, F64 to the nearest. Also throws DataError for other types,
  // and std::invalid_argument when `values` has not count x row_elements() elements.
  void read_rows(const SafetensorsTensor& tensor, int64_t first, int64_t count, std::span<float> values) const;

  // Gives back the memory of bytes that were read and are not needed soon.
  void release(std::string_view bytes) const;

 private:
  std::unique_ptr<MappedFile> file_;  // nullptr: the bytes belong to the caller
  std::string name_;
  std::map<std::string, std::string> metadata_;
  std::vector<SafetensorsTensor> tensors_;
  std::vector<size_t> by_name_;  // indices of tensors_

  void read(std::string_view bytes);
  [[noreturn]] void fail(const std::string& what) const;
};

}  // namespace terse
