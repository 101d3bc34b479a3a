// Reads HDF5 files from strangers: accepts only what hdf5_writer.h makes, that is hard links, chunked storage without
// external files, the Fletcher32 filter alone and strings of fixed length. Each check stands before HDF5 would act on
// what is checked.
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

  int64_t integer(const char* attribute) const;
  std::string text(const char* attribute) const;
  int64_t file_bytes() const { return file_bytes_; }

  struct Dataset {
    Hdf5Handle handle;
    std::string name;
    int64_t size = 0;   // elements
    int64_t width = 0;  // bytes of an element
  };
  // Opens a one-dimensional dataset after checking type (one of `types`), storage, filter and that all of it is in the
  // file.
  Dataset dataset(const char* name, const std::vector<hid_t>& types) const;
  // Elements [begin, begin + count) as stored; `out` holds count * width bytes.
  void read(const Dataset& dataset, int64_t begin, int64_t count, void* out) const;

  // "<path>: <message>"
  [[noreturn]] void fail(const std::string& message) const;

 private:
  Hdf5Handle attribute(const char* name) const;
  void check_links(const std::set<std::string>& datasets) const;

  std::string path_;
  int64_t file_bytes_ = 0;
  Hdf5Handle file_;
};

}  // namespace terse::data
