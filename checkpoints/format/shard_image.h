// HDF5 files in memory. MemoryFile creates one and returns its bytes; ReadOnlyImage opens bytes without a copy.
#pragma once

#include <cstdlib>
#include <memory>
#include <string_view>

#include "base/hdf5.h"

namespace terse::checkpoints {

// The finished bytes of an HDF5 file, in the memory that HDF5 allocated.
class ShardImage {
 public:
  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };
  using Memory = std::unique_ptr<char, Free>;

  ShardImage(Memory memory, size_t size) : memory_(std::move(memory)), size_(size) {}
  std::string_view bytes() const { return {memory_.get(), size_}; }

 private:
  Memory memory_;
  size_t size_;
};

// An HDF5 file under construction. It takes the memory over from HDF5 when the file closes. H5Fget_file_image would be
// simpler, but HDF5 1.10.8 returns images with a wrong superblock checksum for the newest format.
class MemoryFile {
 public:
  MemoryFile();
  ~MemoryFile();
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  hid_t id() const { return file_; }
  // Closes the file and returns its bytes.
  ShardImage finish();

 private:
  ShardImage::Memory image_;
  size_t allocated_ = 0;
  H5FD_file_image_callbacks_t callbacks_;
  Hdf5Handle file_;

  Hdf5Handle create();
  static void* allocate(size_t size, H5FD_file_image_op_t, void* self);
  static void* resize(void* bytes, size_t size, H5FD_file_image_op_t, void* self);
  static herr_t release(void* bytes, H5FD_file_image_op_t op, void* self);
};

// Opens an image read-only. `image` must outlive the handle.
class ReadOnlyImage {
 public:
  explicit ReadOnlyImage(std::string_view image);
  hid_t id() const { return file_; }

 private:
  std::string_view image_;
  Hdf5Handle file_;

  Hdf5Handle open();
};

}  // namespace terse::checkpoints
