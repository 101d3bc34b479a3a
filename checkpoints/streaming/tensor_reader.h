// Reads parts of the tensors of one checkpoint, which may be larger than the memory: a few of its files are in memory
// at a time.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoints/format/manifest.h"

namespace terse::checkpoints {

// Not thread-safe.
class TensorReader {
 public:
  // Reads the manifest. `wanted` selects tensors by name; the others cannot be read and take no memory. Throws
  // DataError, which names the file.
  TensorReader(std::shared_ptr<FileSystem> fs, FileSystem::Path checkpoint,
               const std::function<bool(const std::string& name)>& wanted);

  // Returns elements [begin, end) of the flattened tensor. The hash of a file is checked whenever it is read. Throws
  // DataError, which names the file, when it is damaged, std::out_of_range when the tensor is not wanted or has not so
  // many elements, and DiskError.
  torch::Tensor read(const std::string& name, int64_t begin, int64_t end);

 private:
  // The wanted pieces of one file.
  struct Content {
    size_t file = 0;
    std::vector<torch::Tensor> pieces;  // parallel to FileEntry::pieces; undefined: not wanted
  };
  struct Place {
    size_t file = 0, piece = 0;
  };

  std::shared_ptr<FileSystem> fs_;
  FileSystem::Path checkpoint_;
  Manifest manifest_;
  std::map<std::string, std::vector<Place>> places_;  // of the wanted tensors
  std::list<Content> contents_;                       // the last one that was used comes first

  const Content& content(size_t file);
  Content load(size_t file) const;
};

}  // namespace terse::checkpoints
