// A library that may or may not be installed, opened at run time.
#pragma once

#include <dlfcn.h>

namespace terse::launch {

// Stays loaded for the life of the process: libraries such as MPI and NCCL do not take being unloaded well.
class SharedLibrary {
 public:
  explicit SharedLibrary(const char* name) : handle_(dlopen(name, RTLD_LAZY | RTLD_LOCAL)) {}
  explicit operator bool() const { return handle_ != nullptr; }

  // The function `name`, or nullptr when it is absent.
  template <typename Signature>
  Signature* symbol(const char* name) const {
    return handle_ == nullptr ? nullptr : reinterpret_cast<Signature*>(dlsym(handle_, name));
  }

 private:
  void* handle_;
};

}  // namespace terse::launch
