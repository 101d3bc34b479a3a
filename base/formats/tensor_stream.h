// Writes a file of tensors one after another, so that no more than a part of one tensor is in memory. The file appears
// under its name only when it is complete and on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/durable.h"
#include "base/file_system.h"

namespace terse {

struct StreamedTensor {
  std::string name;
  uint64_t bytes = 0;
};

// All functions throw DiskError when the system refuses to write. Then, or when the object goes away before publish(),
// nothing is left of the file.
class TensorStream {
 public:
  // Creates a temporary file beside `path` and writes `head`. Zeros fill up the head and each tensor to a multiple of
  // `alignment` bytes.
  TensorStream(const std::filesystem::path& path, std::string_view head, std::vector<StreamedTensor> tensors,
               uint64_t alignment);

  // Writes the next bytes of a tensor. The tensors come in their order, each in one or more parts. Throws
  // std::logic_error when another tensor is due or the tensor has fewer bytes.
  void write(std::string_view tensor, std::string_view bytes);
  // Throws std::logic_error when bytes of a tensor are missing.
  void close();
  // Syncs the closed file and gives it its name, in place of a file that has it.
  void publish() { temporary_.publish(); }

 private:
  std::vector<StreamedTensor> tensors_;
  uint64_t alignment_;
  TemporaryFile temporary_;
  std::shared_ptr<FileSystem> disk_ = posix_file_system();
  std::unique_ptr<OutputFile> file_;
  size_t next_ = 0;       // the tensor that is due
  uint64_t written_ = 0;  // bytes of it

  void fill_up(uint64_t bytes);
  void skip_empty();
};

}  // namespace terse
