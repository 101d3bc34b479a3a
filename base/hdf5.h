// Wraps HDF5 identifiers in handles that close themselves, and turns HDF5 errors into messages.
#pragma once

#include <hdf5.h>

#include <string>
#include <utility>

#include "base/errors.h"

namespace terse {

// An HDF5 call failed. The message ends with the reason that the library gives. Checkpoints are built in memory, so a
// failure to write one means that memory ran out. A reader catches this error and treats the file as damaged.
class Hdf5Error : public ResourceError {
 public:
  using ResourceError::ResourceError;
};

// Switches off error messages on standard error (a setting of the calling thread), plug-ins, and the clean-up at exit.
// That clean-up crashes after a disk has run full. Every function that calls HDF5 calls this first.
void prepare_hdf5();

// Returns the innermost error of the last HDF5 call that failed in this thread.
std::string hdf5_error();

// Throws Hdf5Error "cannot <what>: <reason>".
[[noreturn]] void hdf5_fail(const std::string& what);

// Returns `result`. Throws Hdf5Error when it is negative, which is how every HDF5 call reports a failure.
template <typename Result>
Result hdf5_check(Result result, const std::string& what) {
  if (result < 0) hdf5_fail(what);
  return result;
}

class Hdf5Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Hdf5Handle() = default;
  // Accepts a negative identifier, too: the caller must check it.
  Hdf5Handle(hid_t id, Close closer) : id_(id), close_(closer) {}
  // Throws Hdf5Error when the identifier is negative.
  Hdf5Handle(hid_t id, Close closer, const std::string& what) : Hdf5Handle(hdf5_check(id, what), closer) {}
  ~Hdf5Handle() {
    if (id_ >= 0) close_(id_);
  }
  Hdf5Handle(Hdf5Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }

  operator hid_t() const { return id_; }
  // Closes the identifier now. Returns the result of HDF5, for callers that must know whether closing succeeded.
  herr_t close() { return id_ < 0 ? 0 : close_(std::exchange(id_, -1)); }

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

}  // namespace terse
