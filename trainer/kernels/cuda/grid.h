// Assigns work to blocks and threads. This file holds all index arithmetic of the launches. Units of work are numbered
// from 0. A unit belongs to one thread, or to a warp of 32 lanes.
#pragma once

#include <cstdint>

#include "trainer/kernels/cuda/numbers.h"

namespace terse::trainer::kernels::cuda {

constexpr int kLanes = 32;                  // of a warp
constexpr int kThreads = 256;               // of a block
constexpr int kWarps = kThreads / kLanes;   // of a block
constexpr int64_t kMaxBlocks = 2147483647;  // of a grid, along x

TERSE_BOTH constexpr int64_t ceil_div(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// The unit of a thread, for units that belong to one thread and for units that belong to a warp. Threads whose unit is
// past the end stay idle.
TERSE_BOTH constexpr int64_t thread_unit(int64_t block, int thread) {
  return block * kThreads + thread;
}
TERSE_BOTH constexpr int64_t warp_unit(int64_t block, int thread) {
  return block * kWarps + thread / kLanes;
}
TERSE_BOTH constexpr int lane_of(int thread) {
  return thread % kLanes;
}

// Rows of a weight gradient in slabs of equal height, the last one shorter.
struct Slabs {
  int64_t count = 0, height = 0;
};

// Enough slabs to keep a GPU busy, few enough that adding them up costs little.
constexpr Slabs slabs_of(int64_t vectors) {
  constexpr int64_t kMaxSlabs = 512, kMinHeight = 32;
  const int64_t even = ceil_div(vectors, kMaxSlabs), height = even < kMinHeight ? kMinHeight : even;
  return {ceil_div(vectors, height), height};
}

}  // namespace terse::trainer::kernels::cuda
