// Opens a library at run time that may not be installed.
#pragma once

#include <dlfcn.h>

namespace terse::launch {

// The library stays loaded until the process ends: libraries such as MPI and NCCL do not support being unloaded.
class SharedLibrary {
 public:
  explicit SharedLibrary(const char* name) : handle_(dlopen(name, RTLD_LAZY | RTLD_LOCAL)) {}
  explicit operator bool() const { return handle_ != nullptr; }

  // Returns the function `name`, or nullptr when it is absent.
  template <typename Signature>
  Signature* symbol(const char* name) const {
    return handle_ == nullptr ? nullptr : reinterpret_cast<Signature*>(dlsym(handle_, name));
  }

 private:
  void* handle_;
};

}  // namespace terse::launch
