// Writes the few HDF5 objects that a token store is made of.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/hdf5.h"

namespace terse::data {

constexpr int64_t kMaxTextAttribute = 60000;  // bytes; an object header message holds at most 64 KiB

// Writes a new file. Every failure of HDF5 is a DiskError.
class Hdf5Writer {
 public:
  explicit Hdf5Writer(const std::filesystem::path& path);

  void integer(const char* attribute, int64_t value);
  void text(const char* attribute, const std::string& value);
  // Creates an empty dataset in chunks of `chunk` elements. append() extends it.
  Hdf5Handle dataset(const char* name, hid_t type, hsize_t chunk);
  void append(const Hdf5Handle& dataset, hid_t type, int64_t count, const void* elements);
  // Flushes and closes the file. All datasets must be closed before.
  void close();

 private:
  void expect(bool ok, const std::string& what) const;

  std::string path_;
  Hdf5Handle file_;
};

}  // namespace terse::data
