// Reads untrusted HDF5 files. It accepts only what hdf5_writer.h writes: hard links, chunked storage without external
// files, the Fletcher32 filter alone, and strings of fixed length. Each property is checked before HDF5 acts on it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "base/hdf5.h"

namespace terse::data {

// A file open for reading.
class Hdf5Reader {
 public:
  // Throws DataError unless the file opens and its root group holds exactly `datasets`, as hard links.
  Hdf5Reader(const std::filesystem::path& path, const std::set<std::string>& datasets);

  // Return the value of an attribute of the root group. Both throw DataError when it is missing or has another type.
  int64_t integer(const char* attribute) const;
  std::string text(const char* attribute) const;
  bool has(const char* attribute) const;
  int64_t file_bytes() const { return file_bytes_; }

  struct Dataset {
    Hdf5Handle handle;
    std::string name;
    int64_t size = 0;   // elements
    int64_t width = 0;  // bytes of an element
  };
  // Opens a one-dimensional dataset. Throws DataError unless it has one of the `types`, allowed storage and filters,
  // and all of its data in the file.
  Dataset dataset(const char* name, const std::vector<hid_t>& types) const;
  // Reads the elements [begin, begin + count) as stored. `out` holds count * width bytes. Throws DataError on damage.
  void read(const Dataset& dataset, int64_t begin, int64_t count, void* out) const;

  // Throws DataError "<path>: <message>".
  [[noreturn]] void fail(const std::string& message) const;

 private:
  Hdf5Handle attribute(const char* name) const;
  void check_links(const std::set<std::string>& datasets) const;

  std::string path_;
  int64_t file_bytes_ = 0;
  Hdf5Handle file_;
};

}  // namespace terse::data
