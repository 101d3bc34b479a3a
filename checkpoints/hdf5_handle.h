// HDF5 identifiers that close themselves, and HDF5 errors as exceptions instead of text on standard error.
#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

#include "configs/errors.h"

namespace terse::checkpoints {

// An HDF5 call failed; the message ends with the library's own reason. Images of files are built in memory, so a
// failure while one is written means that memory ran out. A failure while one is read means that it is damaged; the
// reader catches that.
class Hdf5Error : public configs::ResourceError {
 public:
  using ResourceError::ResourceError;
};

// While it lives, HDF5 prints nothing in this thread. It also makes sure that HDF5 loads no plug-ins.
class QuietHdf5 {
 public:
  QuietHdf5();
  ~QuietHdf5();
  QuietHdf5(const QuietHdf5&) = delete;
  QuietHdf5& operator=(const QuietHdf5&) = delete;

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

// Throws Hdf5Error "cannot <what>: <reason>".
[[noreturn]] void hdf5_fail(const std::string& what);

// Returns `result`, or throws when it is negative, which is how every HDF5 call reports a failure.
template <typename Result>
Result hdf5_check(Result result, const std::string& what) {
  if (result < 0) hdf5_fail(what);
  return result;
}

class Hdf5Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Hdf5Handle(hid_t id, Close closer, const std::string& what) : id_(hdf5_check(id, what)), close_(closer) {}
  ~Hdf5Handle() {
    if (id_ >= 0) close_(id_);
  }
  Hdf5Handle(const Hdf5Handle&) = delete;
  Hdf5Handle& operator=(const Hdf5Handle&) = delete;
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}

  operator hid_t() const { return id_; }
  // Closes now and throws when that fails.
  void close(const std::string& what) { hdf5_check(close_(std::exchange(id_, -1)), what); }

 private:
  hid_t id_;
  Close close_;
};

}  // namespace terse::checkpoints
