// Models as files of other programs: a folder of Hugging Face (config.json with *.safetensors), or a GGUF file of
// llama.cpp. Both give their weights under Hugging Face's names and in fp32, any part of any weight. So each rank reads
// what it owns, and no weight is in memory twice.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/formats/gguf/ggml_type.h"
#include "trainer/model/param_layout.h"
#include "trainer/model/spec.h"

namespace terse::trainer {

class ModelFiles {
 public:
  virtual ~ModelFiles() = default;

  const std::filesystem::path& path() const { return path_; }
  const ModelSpec& spec() const { return spec_; }

  // Writes elements [begin, end) of the flattened parameter. `info` is one of ParamLayout(spec()).
  virtual void read(const ParamInfo& info, int64_t begin, int64_t end, float* out) const = 0;
  // Returns the type in which the files hold the parameter: F32, F16 or BF16. F32 stands for all other types, too.
  virtual GgmlType stored_type(const ParamInfo& info) const = 0;
  // Names what was left out and may surprise a user, one line each.
  const std::vector<std::string>& notes() const { return notes_; }

 protected:
  ModelFiles(std::filesystem::path path, const ModelSpec& spec) : path_(std::move(path)), spec_(spec) {}

  std::filesystem::path path_;
  ModelSpec spec_;
  std::vector<std::string> notes_;
};

// Reads elements [begin, end) of a flattened tensor whose last dimension has `columns` elements, by whole rows:
// `read_rows` writes rows [first, first + count).
void read_by_rows(int64_t columns, int64_t begin, int64_t end, float* out,
                  const std::function<void(int64_t first, int64_t count, std::span<float> values)>& read_rows);

// Whether the path looks like model files of one of the formats: a folder with a config.json and *.safetensors or an
// index of them, or a file that begins like a GGUF file.
bool is_model_files(const std::filesystem::path& path);

// Opens them and compares the shapes of all tensors with that of the model. Throws DiskError, and DataError that names
// the file, and the key or the tensor with what was found and expected. No data of a tensor is read.
std::unique_ptr<ModelFiles> open_model_files(const std::filesystem::path& path);

}  // namespace terse::trainer
