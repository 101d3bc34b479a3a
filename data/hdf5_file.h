// The few HDF5 operations that token stores need, with handles that close themselves and errors in words.
//
// Reading accepts only what store_writer.cpp makes: hard links, chunked storage without external files, the Fletcher32
// filter alone, fixed-length strings. Each check stands before HDF5 would act on what is checked.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace terse::data {

class Hdf5Handle {
 public:
  Hdf5Handle() = default;
  Hdf5Handle(hid_t id, herr_t (*closer)(hid_t)) : id_(id), close_(closer) {}
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~Hdf5Handle() {
    if (id_ >= 0) close_(id_);
  }
  hid_t get() const { return id_; }
  herr_t close() { return id_ < 0 ? 0 : close_(std::exchange(id_, -1)); }  // for those who must know whether it worked

 private:
  hid_t id_ = -1;
  herr_t (*close_)(hid_t) = nullptr;
};

// Innermost error of the last failed call of this thread.
std::string hdf5_error();
// No messages on standard error, no filter plug-ins, and no clean-up at exit, which crashes after a full disk. Call
// before use.
void prepare_hdf5();

constexpr hsize_t kStoreChunk = 16384;  // elements: small enough that a random read checks little more than it needs

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

// A new file. Every failure is a DiskError.
class Hdf5Writer {
 public:
  explicit Hdf5Writer(const std::filesystem::path& path);

  void integer(const char* attribute, int64_t value);
  void text(const char* attribute, const std::string& value);
  // An empty dataset that append() makes longer.
  Hdf5Handle dataset(const char* name, hid_t type);
  void append(const Hdf5Handle& dataset, hid_t type, int64_t count, const void* elements);
  // Flushes and closes; all datasets must be closed before.
  void close();

 private:
  void expect(bool ok, const std::string& what) const;

  std::string path_;
  Hdf5Handle file_;
};

}  // namespace terse::data
