// Counts the bytes of tensors as LibTorch's allocator of the CPU hands them out: what a plan of memory is held against.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <memory>

namespace terse::support {

class TensorBytes : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override {
    now_ += size;
    peak_ = std::max(peak_, now_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  double now() const { return static_cast<double>(now_); }
  double peak() const { return static_cast<double>(peak_); }

 private:
  int64_t now_ = 0, peak_ = 0;
};

// Counts on this thread while it lives.
class CountTensorBytes {
 public:
  const TensorBytes& bytes() const { return *bytes_; }

 private:
  std::shared_ptr<TensorBytes> bytes_ = std::make_shared<TensorBytes>();
  c10::DebugInfoGuard guard_{c10::DebugInfoKind::PROFILER_STATE, bytes_};
};

}  // namespace terse::support
