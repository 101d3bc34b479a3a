// A count that counts nothing would accept everything, so each way to allocate is tried.
#include "tests/hostile/peak_memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace terse::support {
namespace {

constexpr size_t kBlock = size_t{1} << 20;

// What an allocation adds to the peak; the compiler must not leave it out.
template <typename Allocate>
size_t peak_of(Allocate allocate) {
  const PeakMemory memory;
  allocate();
  return memory.bytes();
}

void use(void* block) {
  ASSERT_NE(block, nullptr);
  *static_cast<volatile char*>(block) = 1;
}

TEST(PeakMemory, CountsEveryWayToAllocate) {
  const std::vector<size_t> peaks = {
      peak_of([] { use(std::make_unique<char[]>(kBlock).get()); }),
      peak_of([] { use(std::string(kBlock, 'x').data()); }),
      peak_of([] {
        void* const block = std::malloc(kBlock);
        use(block);
        std::free(block);
      }),
      peak_of([] {
        void* const block = std::calloc(kBlock / 8, 8);
        use(block);
        std::free(block);
      }),
      peak_of([] {
        void* block = std::malloc(10);
        block = std::realloc(block, kBlock);
        use(block);
        std::free(block);
      }),
      peak_of([] {
        void* block = nullptr;
        ASSERT_EQ(::posix_memalign(&block, 64, kBlock), 0);
        use(block);
        std::free(block);
      }),
      peak_of([] {
        void* const block = std::aligned_alloc(64, kBlock);
        use(block);
        std::free(block);
      }),
      peak_of([] { std::thread([] { use(std::make_unique<char[]>(kBlock).get()); }).join(); }),
  };
  for (size_t i = 0; i < peaks.size(); ++i) {
    EXPECT_GE(peaks[i], kBlock) << i;
    EXPECT_LT(peaks[i], kBlock + (64 << 10)) << i;
  }
}

TEST(PeakMemory, IsThatOfLiveBlocksAndNotTheirSum) {
  const size_t one_by_one = peak_of([] {
    for (int i = 0; i < 10; ++i) use(std::make_unique<char[]>(kBlock).get());
  });
  EXPECT_LT(one_by_one, 2 * kBlock);
  const size_t together = peak_of([] {
    const auto first = std::make_unique<char[]>(kBlock), second = std::make_unique<char[]>(kBlock);
    use(first.get());
    use(second.get());
  });
  EXPECT_GE(together, 2 * kBlock);
  EXPECT_EQ(peak_of([] {}), 0u);
}

}  // namespace
}  // namespace terse::support
