// Checks shares and nodes of the tree of sequences: they cover a batch exactly once, fit the tree, and add up to the
// same bits.
#include "trainer/gradient_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "trainer/kernels/kernels.h"

namespace terse::trainer {
namespace {

TEST(ShareOf, CoversABatchOnceAndNearlyEvenly) {
  for (const int64_t ranks : {1, 2, 3, 4, 5, 6, 7, 8, 12, 100}) {
    for (const int64_t sequences : {0, 1, 2, 3, 7, 24, 64, 288, 1000}) {
      int64_t at = 0, most = 0;
      for (int64_t rank = 0; rank < ranks; ++rank) {
        const SequenceRange share = share_of(sequences, rank, ranks);
        EXPECT_EQ(share.begin, at) << sequences << " sequences, rank " << rank << " of " << ranks;
        at = share.end;
        most = std::max(most, share.count());
      }
      EXPECT_EQ(at, sequences);
      EXPECT_LE(most, sequences / ranks + sequences / (2 * ranks) + 1) << sequences << " sequences on " << ranks;
    }
  }
}

std::function<bool(SequenceRange)> at_most(int64_t sequences) {
  return [=](SequenceRange node) { return node.count() <= sequences; };
}

TEST(TreeNodes, ARankOfAPowerOfTwoHoldsOneNode) {
  const auto all = [](SequenceRange) { return true; };
  for (const int64_t ranks : {1, 2, 4, 8}) {
    for (const int64_t sequences : {8, 24, 25, 63, 288}) {
      for (int64_t rank = 0; rank < ranks; ++rank)
        EXPECT_EQ(tree_nodes(sequences, share_of(sequences, rank, ranks), all).size(), 1u);
    }
  }
}

TEST(TreeNodes, CoverTheRangeWithinTheLimit) {
  for (int64_t begin = 0; begin < 11; ++begin) {
    for (int64_t end = begin; end <= 11; ++end) {
      for (const int64_t limit : {1, 2, 3, 11}) {
        int64_t at = begin;
        for (const SequenceRange& node : tree_nodes(11, {begin, end}, at_most(limit))) {
          EXPECT_EQ(node.begin, at);
          EXPECT_LE(node.count(), limit);
          at = node.end;
        }
        EXPECT_EQ(at, end);
      }
    }
  }
}

TEST(MicroBatching, CountsItemsAndTokens) {
  const std::vector<MicroBatching::Size> sizes = {{1, 10}, {3, 20}, {2, 5}, {9, 90}};
  const auto fits = [&](PassLimit limit, int64_t begin, int64_t end) {
    return MicroBatching(sizes, limit).fits({begin, end});
  };
  EXPECT_TRUE(fits({}, 0, 4));
  EXPECT_TRUE(fits({.micro_batch = 6}, 0, 3));
  EXPECT_FALSE(fits({.micro_batch = 5}, 0, 3));
  EXPECT_TRUE(fits({.micro_tokens = 25}, 1, 3));
  EXPECT_FALSE(fits({.micro_tokens = 24}, 1, 3));
  EXPECT_FALSE(fits({.micro_batch = 6, .micro_tokens = 34}, 0, 3)) << "both limits hold";
  EXPECT_TRUE(fits({.micro_batch = 1, .micro_tokens = 1}, 3, 4)) << "a single sequence always fits";
  EXPECT_EQ(MicroBatching(sizes, {}).sequences(), 4);
}

float tree_of(const std::vector<float>& values, SequenceRange node) {
  if (node.count() == 1) return values[static_cast<size_t>(node.begin)];
  const int64_t middle = node.begin + kernels::tree_half(node.count());
  return tree_of(values, {node.begin, middle}) + tree_of(values, {middle, node.end});
}

TEST(TreeSum, TheOrderOfArrivalAndTheCutsChangeNoBit) {
  std::mt19937 random(5);
  for (const int64_t sequences : {1, 2, 3, 7, 24, 31}) {
    std::vector<float> values;
    for (int64_t i = 0; i < sequences; ++i) values.push_back(std::normal_distribution<float>(0, 1)(random));
    for (const int64_t ranks : {1, 2, 3, 4, 7}) {
      for (const int64_t limit : {int64_t{1}, int64_t{3}, sequences}) {
        std::vector<SequenceRange> nodes;
        for (int64_t rank = 0; rank < ranks; ++rank) {
          const auto mine = tree_nodes(sequences, share_of(sequences, rank, ranks), at_most(limit));
          nodes.insert(nodes.end(), mine.begin(), mine.end());
        }
        std::shuffle(nodes.begin(), nodes.end(), random);
        TreeSum sum(sequences);
        for (const SequenceRange& node : nodes) sum.add(node, torch::full({1}, tree_of(values, node)));
        ASSERT_EQ(sum.waiting().size(), 1u);
        EXPECT_EQ(sum.waiting().begin()->first, (SequenceRange{0, sequences}));
        EXPECT_EQ(sum.waiting().begin()->second.item<float>(), tree_of(values, {0, sequences}));
      }
    }
  }
}

}  // namespace
}  // namespace terse::trainer
