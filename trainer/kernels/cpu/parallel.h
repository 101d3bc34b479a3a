// Splits work over OpenMP threads. One thread computes each output element completely, in a way that does not depend on
// the split. So results do not depend on the thread count.
#pragma once

#include <omp.h>
#include <pmmintrin.h>

#include <cstdint>

#include "trainer/kernels/cpu/vec.h"

namespace terse::trainer::kernels::TERSE_ISA {

// The least work per thread, in floating-point operations or equivalent time. Less work does not pay for waking a
// thread.
inline constexpr int64_t kWorkPerThread = 25000;

TERSE_INLINE int64_t min_of(int64_t a, int64_t b) {
  return a < b ? a : b;
}
TERSE_INLINE int64_t max_of(int64_t a, int64_t b) {
  return a > b ? a : b;
}
TERSE_INLINE int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}
TERSE_INLINE int64_t round_up(int64_t a, int64_t b) {
  return ceil_div(a, b) * b;
}

inline int64_t threads_for(int64_t work) {
  if (omp_in_parallel()) return 1;
  return max_of(1, min_of(omp_get_max_threads(), work / kWorkPerThread));
}

struct Range {
  int64_t begin, end;
};

// Returns part `part` of `parts` of `count` items, in whole units.
TERSE_INLINE Range share(int64_t count, int64_t parts, int64_t part, int64_t unit = 1) {
  const int64_t units = ceil_div(count, unit);
  return {min_of(count, units * part / parts * unit), min_of(count, units * (part + 1) / parts * unit)};
}

// While it lives, this thread takes subnormal numbers for zero, in what it reads and in its results. Otherwise the
// processor would take more than a hundred cycles for each. The barriers keep the compiler from moving calculations,
// which read and write memory, to before or after it.
class SubnormalsAreZero {
 public:
  SubnormalsAreZero() : saved_(_mm_getcsr()) {
    _mm_setcsr(saved_ | _MM_FLUSH_ZERO_ON | _MM_DENORMALS_ZERO_ON);
    asm volatile("" ::: "memory");
  }
  ~SubnormalsAreZero() {
    asm volatile("" ::: "memory");
    _mm_setcsr(saved_);
  }
  SubnormalsAreZero(const SubnormalsAreZero&) = delete;
  SubnormalsAreZero& operator=(const SubnormalsAreZero&) = delete;

 private:
  unsigned saved_;
};

// Calls body(begin, end) on disjoint ranges that cover [0, count).
template <class Body>
void parallel_ranges(int64_t count, int64_t work_per_item, int64_t unit, const Body& body) {
  const int64_t parts = threads_for(count * work_per_item);
  if (parts == 1) {
    const SubnormalsAreZero mode;
    body(int64_t{0}, count);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(parts))
  for (int64_t part = 0; part < parts; ++part) {
    const SubnormalsAreZero mode;
    const Range range = share(count, parts, part, unit);
    if (range.begin < range.end) body(range.begin, range.end);
  }
}

// Calls body(index) for every index in [0, count). Items may be of uneven cost.
template <class Body>
void parallel_tasks(int64_t count, int64_t total_work, const Body& body) {
  const int64_t parts = min_of(count, threads_for(total_work));
  if (parts <= 1) {
    const SubnormalsAreZero mode;
    for (int64_t index = 0; index < count; ++index) body(index);
    return;
  }
#pragma omp parallel for schedule(dynamic) num_threads(static_cast <int>(parts))
  for (int64_t index = 0; index < count; ++index) {
    const SubnormalsAreZero mode;
    body(index);
  }
}

}  // namespace terse::trainer::kernels::TERSE_ISA
