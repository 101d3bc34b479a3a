// Counts the bytes of tensors in LibTorch's CPU allocator. Tests compare the peak with the plan of memory.
#pragma once

#include <c10/core/CPUAllocator.h>

#include <atomic>
#include <memory>
#include <new>

namespace terse::support {

class TensorBytes {
 public:
  double now() const { return static_cast<double>(now_.load()); }
  double peak() const { return static_cast<double>(peak_.load()); }
  void add(int64_t size) {
    const int64_t sum = now_ += size;
    for (int64_t peak = peak_; peak < sum && !peak_.compare_exchange_weak(peak, sum);) continue;
  }

 private:
  std::atomic<int64_t> now_ = 0, peak_ = 0;
};

// Reports every allocation and release of a tensor to `bytes`, on any thread, such as that of a group
// (trainer/parallel/collectives/exchange.h). Tensors may outlive this allocator, so each has a header (Block) before
// its bytes with what its release needs.
class CountingAllocator : public c10::Allocator {
 public:
  explicit CountingAllocator(std::shared_ptr<TensorBytes> bytes) : bytes_(std::move(bytes)) {}
  c10::DataPtr allocate(size_t size) override {
    char* memory = static_cast<char*>(::operator new(kBefore + size, std::align_val_t(kBefore)));
    new (memory) Block{bytes_, static_cast<int64_t>(size)};
    bytes_->add(static_cast<int64_t>(size));
    return {memory + kBefore, memory + kBefore, &release, torch::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, size_t size) const override { default_copy_data(to, from, size); }

 private:
  struct Block {
    std::shared_ptr<TensorBytes> bytes;
    int64_t size;
  };
  static constexpr size_t kBefore = 64;  // LibTorch's alignment
  static_assert(sizeof(Block) <= kBefore);
  static void release(void* data) {
    char* memory = static_cast<char*>(data) - kBefore;
    auto* block = reinterpret_cast<Block*>(memory);
    block->bytes->add(-block->size);
    block->~Block();
    ::operator delete(memory, std::align_val_t(kBefore));
  }
  std::shared_ptr<TensorBytes> bytes_;
};

// Counts the tensors that are allocated during its lifetime. Only one object may live at a time.
class CountTensorBytes {
 public:
  CountTensorBytes() { c10::SetCPUAllocator(&allocator_); }
  ~CountTensorBytes() { c10::SetCPUAllocator(c10::GetDefaultCPUAllocator()); }
  CountTensorBytes(const CountTensorBytes&) = delete;
  CountTensorBytes& operator=(const CountTensorBytes&) = delete;
  const TensorBytes& bytes() const { return *bytes_; }

 private:
  std::shared_ptr<TensorBytes> bytes_ = std::make_shared<TensorBytes>();
  CountingAllocator allocator_{bytes_};
};

}  // namespace terse::support
