// Counts the bytes of live blocks. AddressSanitizer has hooks for that. Without it, this file replaces the functions of
// the C library, which the manual of glibc allows ("Replacing malloc"), and passes every call on to them.
#include "tests/hostile/peak_memory.h"

#include <atomic>
#include <cerrno>
#include <cstdint>

#ifdef __SANITIZE_ADDRESS__
#include <cstdlib>
#else
#include <malloc.h>
#endif

namespace {

std::atomic<size_t> live{0};
std::atomic<size_t> peak{0};

void add(size_t bytes) {
  const size_t now = live.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  size_t most = peak.load(std::memory_order_relaxed);
  while (most < now && !peak.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
  }
}

void remove(size_t bytes) {
  live.fetch_sub(bytes, std::memory_order_relaxed);
}

}  // namespace

#ifdef __SANITIZE_ADDRESS__

// Functions of AddressSanitizer. Debian's GCC does not bring their header, sanitizer/allocator_interface.h.
extern "C" {
size_t __sanitizer_get_allocated_size(const volatile void* block);
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, size_t),
                                              void (*on_free)(const volatile void*));
}

namespace {

void on_malloc(const volatile void*, size_t bytes) {
  add(bytes);
}

void on_free(const volatile void* block) {
  if (block != nullptr) remove(__sanitizer_get_allocated_size(block));
}

// Blocks from before main() are freed after it, so the count of live bytes may wrap around then, which harms nothing.
const bool installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free) > 0;

}  // namespace

#else

extern "C" {

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* block, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* block);

static void* counted(void* block) {
  if (block != nullptr) add(malloc_usable_size(block));
  return block;
}

void* malloc(size_t bytes) {
  return counted(__libc_malloc(bytes));
}

void* calloc(size_t count, size_t bytes) {
  return counted(__libc_calloc(count, bytes));
}

void* realloc(void* block, size_t bytes) {
  const size_t before = block != nullptr ? malloc_usable_size(block) : 0;
  void* const moved = __libc_realloc(block, bytes);
  // Both blocks are live while the content moves.
  if (moved != nullptr) counted(moved);
  if (moved != nullptr || bytes == 0) remove(before);
  return moved;
}

void* memalign(size_t alignment, size_t bytes) {
  return counted(__libc_memalign(alignment, bytes));
}

void* aligned_alloc(size_t alignment, size_t bytes) {
  return memalign(alignment, bytes);
}

int posix_memalign(void** block, size_t alignment, size_t bytes) {
  if (alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
  void* const made = memalign(alignment, bytes);
  if (made == nullptr) return ENOMEM;
  *block = made;
  return 0;
}

void free(void* block) {
  if (block != nullptr) remove(malloc_usable_size(block));
  __libc_free(block);
}

}  // extern "C"

#endif

namespace terse::support {

PeakMemory::PeakMemory() : before_(live.load()) {
  peak.store(before_);
}

size_t PeakMemory::bytes() const {
  return peak.load() - before_;
}

}  // namespace terse::support
