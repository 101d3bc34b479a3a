// HDF5 handles that close themselves, and its errors in words.
#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

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

}  // namespace terse::data
