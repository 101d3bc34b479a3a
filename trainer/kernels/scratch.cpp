// The buffer of a thread only grows. Growing discards the old contents.
#include "trainer/kernels/scratch.h"

#include <cstdlib>
#include <memory>
#include <new>

namespace terse::trainer::kernels {
namespace {

struct Free {
  void operator()(float* p) const { std::free(p); }
};

struct Buffer {
  std::unique_ptr<float, Free> data;
  int64_t floats = 0;
};

}  // namespace

float* scratch(int64_t floats) {
  thread_local Buffer buffer;
  if (floats > buffer.floats) {
    buffer.data.reset();
    buffer.floats = 0;
    const int64_t wanted = (floats + 1023) / 1024 * 1024;  // whole pages
    buffer.data.reset(static_cast<float*>(std::aligned_alloc(64, static_cast<size_t>(wanted) * sizeof(float))));
    if (!buffer.data) throw std::bad_alloc();
    buffer.floats = wanted;
  }
  return buffer.data.get();
}

}  // namespace terse::trainer::kernels
