// Writes GGUF files of version 3. The bytes of a file are those that the Python package `gguf` writes for the same keys
// and tensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/formats/gguf/file.h"
#include "base/formats/gguf/ggml_type.h"
#include "base/formats/tensor_stream.h"

namespace terse {

// llama.cpp loads no file with a longer name of a tensor (GGML_MAX_NAME, which counts an end mark).
constexpr size_t kMaxWrittenGgufTensorName = 63;

// The metadata of a file, in the order in which it is added. Readers expect a certain type for each key; llama.cpp
// reads sizes as uint32. All functions throw std::invalid_argument for a key that is too long, is not UTF-8, comes
// twice, or is general.alignment, which is always 32.
class GgufMetadata {
 public:
  void add_uint32(std::string_view key, uint32_t value);
  void add_int32(std::string_view key, int32_t value);
  void add_uint64(std::string_view key, uint64_t value);
  void add_float32(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_text(std::string_view key, std::string_view value);
  void add_texts(std::string_view key, const std::vector<std::string>& values);
  void add_texts(std::string_view key, const std::vector<std::string_view>& values);
  void add_int32s(std::string_view key, const std::vector<int32_t>& values);
  void add_float32s(std::string_view key, const std::vector<float>& values);
  // Copies an entry of a file.
  void add(const GgufEntry& entry);

  uint64_t count() const { return keys_.size(); }
  const std::string& bytes() const { return bytes_; }  // as in a file

 private:
  std::set<std::string, std::less<>> keys_;
  std::string bytes_;

  void begin(std::string_view key, GgufType type);
  void begin_array(std::string_view key, GgufType type, uint64_t count);
};

struct GgufSpec {
  std::string name;
  GgmlType type = GgmlType::kF32;
  std::vector<int64_t> shape;  // row-major
};

// Use: GgufWriter writer(path, metadata, specs);
//      for (const auto& spec : specs) writer.write(spec.name, quantize(spec.type, ...));
//      writer.finish();
//
// The constructor throws std::invalid_argument for a name that is empty, too long, is not UTF-8, or comes twice, and
// for a shape that is impossible or whose rows are no whole blocks. For other errors, see TensorStream.
class GgufWriter {
 public:
  GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata, const std::vector<GgufSpec>& tensors);

  // Writes the next bytes of a tensor. The tensors come in their order.
  void write(std::string_view tensor, std::string_view bytes) { stream_.write(tensor, bytes); }
  // Checks that everything is written and makes the file appear.
  void finish() { stream_.close(), stream_.publish(); }

 private:
  TensorStream stream_;
};

}  // namespace terse
