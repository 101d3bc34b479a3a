// Maps a file into memory to read it. The system loads what is touched, and drops it again when memory gets scarce, so
// a file may be larger than the memory.
#pragma once

#include <filesystem>
#include <string_view>

namespace terse {

// A regular file, or a symbolic link to one. May be read from several threads.
//
// Nobody may write to the file or shorten it while it is mapped. When it shrinks, or when the device fails to deliver a
// page, the system ends the program with SIGBUS at the next access. The content of a page may change under the reader,
// so a reader must not rely on two reads of the same byte being equal.
class MappedFile {
 public:
  // Throws DiskError when the file cannot be opened or mapped, or is not a regular file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string_view bytes() const { return {data_, size_}; }

  // Makes the system read ahead farther, and forget pages sooner after they were read.
  void expect_sequential_reads() const;
  // Gives back the memory of the whole pages in `part`, a part of bytes(). It can be read again, from the disk or from
  // the system's cache.
  void release(std::string_view part) const;

 private:
  std::filesystem::path path_;
  const char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace terse
