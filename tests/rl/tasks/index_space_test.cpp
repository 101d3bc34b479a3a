// Tests that the index spaces do not overlap and refuse what lies outside.
#include "rl/tasks/index_space.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace terse::rl {
namespace {

constexpr IndexSpace kAll[] = {IndexSpace::kSft, IndexSpace::kRollout, IndexSpace::kDemonstrations,
                               IndexSpace::kStudent, IndexSpace::kGate};

TEST(IndexSpace, AreThoseThatCheckpointsHold) {
  EXPECT_EQ(first_index(IndexSpace::kSft), 0);
  EXPECT_EQ(first_index(IndexSpace::kRollout), 4'294'967'296);
  EXPECT_EQ(first_index(IndexSpace::kDemonstrations), 1'099'511'627'776);
  EXPECT_EQ(first_index(IndexSpace::kStudent), 2'199'023'255'552);
  EXPECT_EQ(first_index(IndexSpace::kGate), 4'398'046'511'104);
}

TEST(IndexSpace, EachIndexLiesInTheSpaceItWasDrawnFrom) {
  for (const IndexSpace space : kAll) {
    for (const int64_t n : {int64_t{0}, int64_t{1}, (int64_t{1} << 32) - 1})
      EXPECT_EQ(space_of(index_in(space, n)), space) << n;
  }
}

TEST(IndexSpace, WhatLiesOutsideIsRefused) {
  EXPECT_THROW(index_in(IndexSpace::kSft, -1), std::out_of_range);
  EXPECT_THROW(index_in(IndexSpace::kSft, int64_t{1} << 32), std::out_of_range);
  EXPECT_THROW(index_in(IndexSpace::kGate, int64_t{1} << 42), std::out_of_range);
  EXPECT_THROW(space_of(-1), std::out_of_range);
  EXPECT_THROW(space_of(int64_t{1} << 43), std::out_of_range);
}

}  // namespace
}  // namespace terse::rl
