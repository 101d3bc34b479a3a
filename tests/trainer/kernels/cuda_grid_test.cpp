// Checks that exactly one thread handles every element: grids, packs of a lane, slabs of rows.
#include <gtest/gtest.h>

#include <vector>

#include "trainer/kernels/cuda/bodies.h"

namespace terse::trainer::kernels::cuda {
namespace {

TEST(KernelsCudaGrid, EveryUnitIsOneThreadsWork) {
  for (int64_t units = 0; units <= 3 * kThreads + 1; ++units) {
    std::vector<int> seen(static_cast<size_t>(units));
    const int64_t blocks = ceil_div(units, kThreads);
    for (int64_t block = 0; block < blocks; ++block) {
      for (int thread = 0; thread < kThreads; ++thread) {
        const int64_t unit = thread_unit(block, thread);
        if (unit < units) ++seen[static_cast<size_t>(unit)];
      }
    }
    ASSERT_EQ(seen, std::vector<int>(static_cast<size_t>(units), 1)) << units << " units";
    ASSERT_TRUE(units == 0 || thread_unit(blocks - 1, 0) < units) << "a block without work";
  }
}

TEST(KernelsCudaGrid, EveryUnitIsAllLanesOfOneWarp) {
  for (int64_t units = 0; units <= 5 * kWarps + 1; ++units) {
    std::vector<int> seen(static_cast<size_t>(units) * kLanes);
    const int64_t blocks = ceil_div(units, kWarps);
    for (int64_t block = 0; block < blocks; ++block) {
      for (int thread = 0; thread < kThreads; ++thread) {
        const int64_t unit = warp_unit(block, thread);
        // A hardware warp is 32 consecutive threads. They must have the same unit, or shuffles would mix units.
        ASSERT_EQ(unit, warp_unit(block, thread / kLanes * kLanes));
        if (unit < units) ++seen[static_cast<size_t>(unit * kLanes + lane_of(thread))];
      }
    }
    ASSERT_EQ(seen, std::vector<int>(static_cast<size_t>(units) * kLanes, 1)) << units << " units";
  }
}

TEST(KernelsCudaGrid, LargeGridsDoNotWrap) {
  EXPECT_EQ(thread_unit(kMaxBlocks - 1, kThreads - 1), kMaxBlocks * kThreads - 1);
  EXPECT_EQ(warp_unit(kMaxBlocks - 1, kThreads - 1), kMaxBlocks * kWarps - 1);
  EXPECT_EQ(ceil_div(kMaxBlocks * kThreads, kThreads), kMaxBlocks);
}

TEST(KernelsCudaGrid, LanesShareAVectorWithoutGapOrOverlap) {
  for (int64_t width = 0; width <= 2 * kSpan + kPack + 1; ++width) {
    std::vector<int> seen(static_cast<size_t>(width));
    for (int lane = 0; lane < kLanes; ++lane) {
      for_packs(lane, width, [&](int64_t i) {
        ASSERT_EQ(i % kPack, 0) << "packs must keep the alignment of the vector";
        for (int64_t j = i; j < i + kPack && j < width; ++j) ++seen[static_cast<size_t>(j)];
      });
    }
    ASSERT_EQ(seen, std::vector<int>(static_cast<size_t>(width), 1)) << width;
  }
}

TEST(KernelsCudaGrid, SlabsCoverTheVectors) {
  for (int64_t vectors = 0; vectors < 100000; vectors += vectors < 2000 ? 1 : 997) {
    const Slabs slabs = slabs_of(vectors);
    ASSERT_LE(slabs.count, 512) << vectors;
    ASSERT_GE(slabs.count * slabs.height, vectors) << vectors;
    ASSERT_TRUE(vectors == 0 ? slabs.count == 0 : (slabs.count - 1) * slabs.height < vectors) << "an empty slab";
  }
}

}  // namespace
}  // namespace terse::trainer::kernels::cuda
