// Uses HDF5's core driver with callbacks that transfer its buffer instead of copying it.
#include "checkpoints/format/shard_image.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

namespace terse::checkpoints {

namespace {

constexpr size_t kGrowth = 1 << 20;
constexpr size_t kEndOfFileField = 28;  // in a version 2 or 3 superblock with 8-byte offsets

void* copy_bytes(void* to, const void* from, size_t size, H5FD_file_image_op_t, void*) {
  return std::memcpy(to, from, size);
}
void* same_data(void* data) {
  return data;
}
herr_t keep_data(void*) {
  return 0;
}

// Callbacks of a read-only image. HDF5 asks for copies of the buffer, and gets the caller's own memory.
void* lend(size_t, H5FD_file_image_op_t, void* image) {
  return image;
}
void* already_there(void* to, const void*, size_t, H5FD_file_image_op_t, void*) {
  return to;
}
void* refuse_to_grow(void*, size_t, H5FD_file_image_op_t, void*) {
  return nullptr;
}
herr_t leave(void*, H5FD_file_image_op_t, void*) {
  return 0;
}

// The core driver identifies open files by name alone, so each file needs a unique name. No file of that name exists.
std::string unique_name(const void* owner) {
  return fmt::format("shard-{}", owner);
}

Hdf5Handle core_driver() {
  Hdf5Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "set up HDF5");
  hdf5_check(H5Pset_fapl_core(access, kGrowth, /*backing_store=*/0), "set up HDF5");
  hdf5_check(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG), "set up HDF5");
  return access;
}

}  // namespace

MemoryFile::MemoryFile()
    : callbacks_{allocate, copy_bytes, resize, release, same_data, keep_data, this}, file_(create()) {}

MemoryFile::~MemoryFile() {
  if (file_ >= 0) {
    try {
      hdf5_check(file_.close(), "discard an unfinished HDF5 image");
    } catch (const Hdf5Error&) {  // only its memory leaks
    }
  }
}

Hdf5Handle MemoryFile::create() {
  const Hdf5Handle access = core_driver();
  hdf5_check(H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST), "set up HDF5");
  hdf5_check(H5Pset_file_image_callbacks(access, &callbacks_), "set up HDF5");
  const Hdf5Handle creation(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "set up HDF5");
  // No space is reserved, so that the image has no gaps. A file space strategy would also do this, but HDF5 stores it
  // in an object with a creation time.
  hdf5_check(H5Pset_meta_block_size(access, 0), "set up HDF5");
  hdf5_check(H5Pset_small_data_block_size(access, 0), "set up HDF5");
  hdf5_check(H5Pset_obj_track_times(creation, false), "set up HDF5");
  return Hdf5Handle(H5Fcreate(unique_name(this).c_str(), H5F_ACC_TRUNC, creation, access), H5Fclose,
                    "create an HDF5 image in memory");
}

void* MemoryFile::allocate(size_t size, H5FD_file_image_op_t, void* self) {
  static_cast<MemoryFile*>(self)->allocated_ = size;
  return std::malloc(size);
}

void* MemoryFile::resize(void* bytes, size_t size, H5FD_file_image_op_t, void* self) {
  void* const moved = std::realloc(bytes, size);
  if (moved != nullptr) static_cast<MemoryFile*>(self)->allocated_ = size;
  return moved;
}

herr_t MemoryFile::release(void* bytes, H5FD_file_image_op_t op, void* self) {
  if (op == H5FD_FILE_IMAGE_OP_FILE_CLOSE) {
    static_cast<MemoryFile*>(self)->image_.reset(static_cast<char*>(bytes));
  } else {
    std::free(bytes);
  }
  return 0;
}

ShardImage MemoryFile::finish() {
  hdf5_check(file_.close(), "finish an HDF5 image in memory");
  uint64_t size = 0;
  if (image_ != nullptr && allocated_ >= kEndOfFileField + sizeof(size)) {
    std::memcpy(&size, image_.get() + kEndOfFileField, sizeof(size));
  }
  if (size == 0 || size > allocated_) hdf5_fail("determine the size of an HDF5 image");
  return {std::move(image_), size};
}

ReadOnlyImage::ReadOnlyImage(std::string_view image) : image_(image), file_(open()) {}

Hdf5Handle ReadOnlyImage::open() {
  const Hdf5Handle access = core_driver();
  void* const bytes = const_cast<char*>(image_.data());
  H5FD_file_image_callbacks_t callbacks{lend, already_there, refuse_to_grow, leave, same_data, keep_data, bytes};
  hdf5_check(H5Pset_file_image_callbacks(access, &callbacks), "set up HDF5");
  hdf5_check(H5Pset_file_image(access, bytes, image_.size()), "set up HDF5");
  return Hdf5Handle(H5Fopen(unique_name(this).c_str(), H5F_ACC_RDONLY, access), H5Fclose, "open it as HDF5");
}

}  // namespace terse::checkpoints
