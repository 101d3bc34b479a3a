// Compares what two engines generated, bit for bit.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "rl/engine/request.h"

namespace terse::rl {

inline void expect_equal(const std::vector<std::vector<Completion>>& a, const std::vector<std::vector<Completion>>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t r = 0; r < a.size(); ++r) {
    ASSERT_EQ(a[r].size(), b[r].size());
    for (size_t s = 0; s < a[r].size(); ++s) {
      EXPECT_EQ(a[r][s].tokens, b[r][s].tokens) << "request " << r << ", sample " << s;
      EXPECT_EQ(a[r][s].logprobs, b[r][s].logprobs);
      EXPECT_EQ(a[r][s].entropies, b[r][s].entropies);
    }
  }
}

}  // namespace terse::rl
