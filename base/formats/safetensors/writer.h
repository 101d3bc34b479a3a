// Writes safetensors files: one file, or the weights of a model folder, in shards when they are large. The bytes of a
// file are those that the library of the format writes for the same tensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/formats/safetensors/dtype.h"
#include "base/formats/tensor_stream.h"

namespace terse {

struct SafetensorsSpec {
  std::string name;
  SafetensorsDtype dtype = SafetensorsDtype::kF32;
  std::vector<int64_t> shape;
};

using SafetensorsMetadata = std::map<std::string, std::string>;

// Use: SafetensorsWriter writer(path, specs);
//      for (const auto& spec : writer.tensors()) writer.write(spec.name, ...);
//      writer.finish();
//
// The constructor throws std::invalid_argument for a name that is not UTF-8, is reserved, or comes twice, and for an
// impossible shape. For other errors, see TensorStream.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, std::vector<SafetensorsSpec> tensors,
                    const SafetensorsMetadata& metadata = {});

  // In the order in which they are written: by dtype, the widest first, and then by name.
  const std::vector<SafetensorsSpec>& tensors() const { return tensors_; }
  // Writes the next bytes of a tensor, row-major and little-endian.
  void write(std::string_view tensor, std::string_view bytes) { stream_.write(tensor, bytes); }
  // close() checks that everything is written; publish() makes the file appear.
  void close() { stream_.close(); }
  void publish() { stream_.publish(); }
  void finish() { close(), publish(); }

 private:
  std::vector<SafetensorsSpec> tensors_;
  TensorStream stream_;
};

// Writes model.safetensors, or, when the tensors take more than `max_shard_bytes`, shards with an index
// (model-00001-of-00003.safetensors, model.safetensors.index.json). A shard takes tensors in the order of `tensors`
// until the next one does not fit. Nothing appears in the folder before finish(), and the index appears last.
//
// The constructor also throws ConfigError when the folder already holds a model.
class SafetensorsFolderWriter {
 public:
  SafetensorsFolderWriter(const std::filesystem::path& folder, const std::vector<SafetensorsSpec>& tensors,
                          uint64_t max_shard_bytes, const SafetensorsMetadata& metadata = {});

  const std::vector<SafetensorsSpec>& tensors() const { return tensors_; }  // in the order in which they are written
  void write(std::string_view tensor, std::string_view bytes);
  void finish();

 private:
  struct Shard {
    std::string file;
    std::vector<SafetensorsSpec> tensors;
    std::unique_ptr<SafetensorsWriter> writer;
  };

  std::filesystem::path folder_;
  SafetensorsMetadata metadata_;
  std::vector<Shard> shards_;
  std::vector<SafetensorsSpec> tensors_;
  std::map<std::string, size_t, std::less<>> shard_of_;
  size_t present_ = 0;  // the shard that is being written

  void open_shard(size_t index);
  std::string index_text() const;
};

}  // namespace terse
