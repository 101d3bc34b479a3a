// Reads GGUF files (https://github.com/ggml-org/ggml, docs/gguf.md), versions 2 and 3, little-endian: metadata under
// keys, such as "llama.block_count" and the tokenizer, and tensors in the types of ggml.
//
// The reader is strict. Every byte of the data belongs to one tensor or to the padding behind it, as in the files that
// llama.cpp loads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/formats/gguf/ggml_type.h"
#include "base/formats/gguf/value.h"
#include "base/formats/mapped_file.h"

namespace terse {

constexpr uint32_t kGgufVersion = 3;     // the one that terse writes
constexpr uint64_t kGgufAlignment = 32;  // of the data where general.alignment does not say otherwise
inline constexpr std::string_view kGgufAlignmentKey = "general.alignment";
constexpr size_t kMaxGgufKey = 65535;      // bytes; the limit of the format
constexpr size_t kMaxGgufTensorName = 64;  // bytes; the limit of the format
constexpr size_t kMaxGgufDims = 4;         // the limit of the format

struct GgufEntry {
  std::string_view key;
  GgufValue value;
};

struct GgufTensor {
  std::string_view name;
  GgmlType type = GgmlType::kF32;
  std::vector<int64_t> shape;  // row-major: the last size is that of a row
  std::string_view bytes;      // in the file

  // The sizes in the order of the file: a row first.
  std::vector<int64_t> dims() const { return {shape.rbegin(), shape.rend()}; }
};

// One file. May be read from several threads. Its memory is at most 8 times that of the keys and the descriptions of
// tensors. Keys, values, names and data are views of the file, which are valid as long as this object.
class GgufFile {
 public:
  // Maps the file and checks everything but the data. Throws DiskError when it cannot be read, and DataError when it is
  // not a valid file; the message names the file, and the key, the tensor or the byte.
  explicit GgufFile(const std::filesystem::path& path);
  // Reads a file that is in memory. `bytes` must outlive this object; `name` is for messages.
  GgufFile(std::string_view bytes, std::string name);

  const std::string& name() const { return name_; }  // the path, for messages
  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }

  const std::vector<GgufEntry>& metadata() const { return metadata_; }  // in the order of the file
  const GgufValue* find(std::string_view key) const;                    // nullptr: not there
  bool has(std::string_view key) const { return find(key) != nullptr; }

  // The value of a key. Each of these throws DataError when the key is not there or its value has another type; the
  // message names the key, the type and the expected one. Any integer type is an integer, and any float type a number.
  int64_t integer(std::string_view key) const;
  double number(std::string_view key) const;
  bool boolean(std::string_view key) const;
  std::string_view text(std::string_view key) const;
  // Arrays. The result takes up to 8 times the bytes of the array in the file; texts are views of it.
  std::vector<int64_t> integers(std::string_view key) const;
  std::vector<double> numbers(std::string_view key) const;
  std::vector<std::string_view> texts(std::string_view key) const;

  const std::vector<GgufTensor>& tensors() const { return tensors_; }  // in the order of the file
  const GgufTensor* find_tensor(std::string_view name) const;          // nullptr: not there
  const GgufTensor& tensor(std::string_view name) const;               // throws DataError when it is not there

  // Converts rows [first, first + count) of a tensor of this file to fp32 (row_count() of its shape). Throws DataError
  // for a type that terse does not convert, std::out_of_range for rows that are not there, and std::invalid_argument
  // when `values` has not count x row_elements() elements.
  void read_rows(const GgufTensor& tensor, int64_t first, int64_t count, std::span<float> values) const;

  // Gives back the memory of bytes that were read and are not needed soon.
  void release(std::string_view bytes) const;

 private:
  std::unique_ptr<MappedFile> file_;  // nullptr: the bytes belong to the caller
  std::string name_;
  uint32_t version_ = 0;
  uint64_t alignment_ = kGgufAlignment;
  std::vector<GgufEntry> metadata_;
  std::vector<GgufTensor> tensors_;
  std::vector<size_t> keys_by_name_;     // indices of metadata_
  std::vector<size_t> tensors_by_name_;  // indices of tensors_

  void read(std::string_view bytes);
  void read_metadata(GgufCursor& cursor, uint64_t count);
  void read_alignment();
  std::vector<uint64_t> read_tensors(GgufCursor& cursor, uint64_t count);
  void place_tensors(std::string_view data, const std::vector<uint64_t>& offsets);
  const GgufValue& value(std::string_view key) const;
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail_type(std::string_view key, const char* expected) const;
};

}  // namespace terse
