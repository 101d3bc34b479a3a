// How work is split over OpenMP threads. Every output element is computed whole by one thread, in a way that does not
// depend on the split, so that results do not depend on the thread count.
#pragma once

#include <omp.h>

#include <cstdint>

#include "trainer/kernels/cpu/vec.h"

namespace terse::trainer::kernels::TERSE_ISA {

// Less work than this (in floating-point operations, or their cost) per thread does not pay for waking one.
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

// Part `part` of `count` items, in whole units.
TERSE_INLINE Range share(int64_t count, int64_t parts, int64_t part, int64_t unit = 1) {
  const int64_t units = ceil_div(count, unit);
  return {min_of(count, units * part / parts * unit), min_of(count, units * (part + 1) / parts * unit)};
}

// body(begin, end) on disjoint ranges that cover 0..count.
template <class Body>
void parallel_ranges(int64_t count, int64_t work_per_item, int64_t unit, const Body& body) {
  const int64_t parts = threads_for(count * work_per_item);
  if (parts == 1) {
    body(int64_t{0}, count);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(static_cast <int>(parts))
  for (int64_t part = 0; part < parts; ++part) {
    const Range range = share(count, parts, part, unit);
    if (range.begin < range.end) body(range.begin, range.end);
  }
}

// body(index) for 0..count, for items of uneven cost.
template <class Body>
void parallel_tasks(int64_t count, int64_t total_work, const Body& body) {
  const int64_t parts = min_of(count, threads_for(total_work));
  if (parts <= 1) {
    for (int64_t index = 0; index < count; ++index) body(index);
    return;
  }
#pragma omp parallel for schedule(dynamic) num_threads(static_cast <int>(parts))
  for (int64_t index = 0; index < count; ++index) body(index);
}

}  // namespace terse::trainer::kernels::TERSE_ISA
