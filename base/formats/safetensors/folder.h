// Reads the weights of a model folder in Hugging Face's layout: one model.safetensors, or shards and an index
// (model.safetensors.index.json), which tells in which shard each tensor is.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/formats/safetensors/file.h"

namespace terse {

inline constexpr char kSafetensorsFile[] = "model.safetensors";
inline constexpr char kSafetensorsIndex[] = "model.safetensors.index.json";
constexpr uint64_t kMaxSafetensorsIndex = 64u << 20;  // bytes

// The shard of each tensor.
using SafetensorsIndex = std::map<std::string, std::string, std::less<>>;

// Parses an index. Shards have plain file names, which end with ".safetensors". Throws DataError, "<where>: ...". Takes
// at most 16 times the memory of the text.
SafetensorsIndex parse_safetensors_index(std::string_view text, const std::string& where);

// The weights of a folder. May be read from several threads.
class SafetensorsFolder {
 public:
  // Maps all files. Throws DiskError when a file cannot be read. Throws DataError when there is no model or two, when a
  // file is not valid, when shards are missing (the message lists them), and when the index and the shards differ.
  explicit SafetensorsFolder(const std::filesystem::path& folder);

  struct Located {
    const SafetensorsFile* file = nullptr;
    const SafetensorsTensor* tensor = nullptr;  // in this file, whose functions read it
  };
  const std::vector<Located>& tensors() const { return tensors_; }  // by name
  // Both pointers are nullptr when there is no such tensor.
  Located find(std::string_view tensor) const;
  // Throws DataError when there is no such tensor.
  Located tensor(std::string_view tensor) const;
  // The file that tells which tensors there are: the only file of weights, or the index.
  const std::filesystem::path& source() const { return source_; }

 private:
  std::filesystem::path folder_;
  std::filesystem::path source_;
  std::deque<SafetensorsFile> files_;
  std::vector<Located> tensors_;

  void open_shards();
};

}  // namespace terse
