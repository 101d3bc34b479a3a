// Tests the windows exhaustively on small corpora, and the token source in memory.
#include "data/windows.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "tests/data/support.h"

namespace terse::data {
namespace {

// Returns the tokens 100, 101, ..., so that each token identifies its own place.
TokenRange corpus(int64_t size, const std::vector<int64_t>& documents = {}) {
  std::vector<int32_t> tokens(size);
  std::iota(tokens.begin(), tokens.end(), 100);
  return whole(std::make_shared<MemoryTokens>(tokens, documents));
}

std::vector<int64_t> every(const Windows& windows) {
  std::vector<int64_t> all(windows.count());
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// Checks all rules of a batch from a corpus of ascending tokens. Counts how often each token is a target.
void check_batch(const Batch& batch, const TokenRange& range, int64_t seq_len, std::map<int64_t, int>& targets) {
  const auto& documents = range.source->documents();
  const auto starts_document = [&](int64_t token) {
    return std::binary_search(documents.begin(), documents.end(), token - 100);
  };
  ASSERT_EQ(batch.segments[0].item<int32_t>(), 0);
  ASSERT_EQ(batch.segments[batch.segment_count()].item<int32_t>(), batch.token_count());
  ASSERT_EQ(batch.sequences[batch.sequence_count()].item<int32_t>(), batch.token_count());
  for (int64_t w = 0; w < batch.sequence_count(); ++w) {
    const torch::Tensor start = batch.sequences[w];
    ASSERT_LE((batch.sequences[w + 1] - start).item<int32_t>(), seq_len);
    ASSERT_TRUE((batch.segments == start).any().item<bool>()) << "a window starts within a segment";
  }
  for (int64_t s = 0; s < batch.segment_count(); ++s) {
    const int64_t begin = batch.segments[s].item<int32_t>();
    const int64_t end = batch.segments[s + 1].item<int32_t>();
    ASSERT_LT(begin, end);
    ASSERT_LE(end - begin, seq_len);
    for (int64_t i = begin; i < end; ++i) {
      const auto token = batch.tokens[i].item<int64_t>();
      ASSERT_EQ(batch.positions[i].item<int64_t>(), i - begin);
      ASSERT_EQ(token, batch.tokens[begin].item<int64_t>() + i - begin);
      if (i > begin) {
        ASSERT_FALSE(starts_document(token)) << "a segment crosses a document";
      }
      if (starts_document(token + 1)) {
        ASSERT_EQ(batch.weights[i].item<float>(), 0) << "a target across documents";
        ASSERT_EQ(batch.targets[i].item<int64_t>(), 0);
      } else {
        ASSERT_EQ(batch.weights[i].item<float>(), 1);
        ASSERT_EQ(batch.targets[i].item<int64_t>(), token + 1);
        ++targets[token + 1];
      }
    }
  }
}

void expect_all_targets_once(const TokenRange& range, int64_t seq_len, int64_t first) {
  const Windows windows(range, seq_len, first);
  std::map<int64_t, int> targets;
  const Batch batch = windows.batch(every(windows));
  check_batch(batch, range, seq_len, targets);
  EXPECT_EQ(batch.sequence_count(), windows.count());
  if (::testing::Test::HasFatalFailure()) return;
  const auto& documents = range.source->documents();
  for (int64_t i = range.begin; i < range.end; ++i) {
    const bool first_of_document = i == range.begin || std::binary_search(documents.begin(), documents.end(), i);
    ASSERT_EQ(targets[100 + i], first_of_document ? 0 : 1) << "token " << i;
  }
}

// Tries every way to cut ten tokens into documents, with several sequence lengths and every shift.
TEST(Windows, NeverCrossDocumentsAndLoseNothingInAnySmallCorpus) {
  for (int cuts = 0; cuts < 512; ++cuts) {
    std::vector<int64_t> documents = {0};
    for (int i = 1; i < 10; ++i) {
      if (cuts >> (i - 1) & 1) documents.push_back(i);
    }
    const TokenRange range = corpus(10, documents);
    for (int64_t seq_len = 1; seq_len <= 11; seq_len += seq_len < 4 ? 1 : 3) {
      for (int64_t first = 1; first <= seq_len; ++first) {
        expect_all_targets_once(range, seq_len, first);
        ASSERT_FALSE(HasFatalFailure()) << "documents " << cuts << " seq_len " << seq_len << " first " << first;
      }
    }
  }
}

TEST(Windows, StayInsideAPartOfTheCorpus) {
  const TokenRange part{corpus(20, {0, 5, 11}).source, 3, 14};
  for (int64_t seq_len = 1; seq_len < 14; ++seq_len) {
    expect_all_targets_once(part, seq_len, seq_len);
    ASSERT_FALSE(HasFatalFailure()) << seq_len;
  }
}

TEST(Windows, OneDocumentGivesWholeWindowsOfTheSequenceLength) {
  const Windows windows(corpus(13), 4, 4);
  ASSERT_EQ(windows.count(), 3);
  for (int64_t w = 0; w < 3; ++w) {
    const Batch batch = windows.batch({w});
    EXPECT_EQ(batch.token_count(), 4);
    EXPECT_EQ(batch.segment_count(), 1);
    EXPECT_EQ(batch.tokens[0].item<int64_t>(), 100 + 4 * w);
    EXPECT_EQ(batch.targets[3].item<int64_t>(), 104 + 4 * w);
  }
}

TEST(Windows, ACorpusShorterThanASequenceIsOneShortWindow) {
  const Windows windows(corpus(5), 64, 64);
  EXPECT_EQ(windows.count(), 1);
  EXPECT_EQ(windows.batch({0}).token_count(), 4);
}

TEST(Windows, RefuseWhatCannotBeCut) {
  EXPECT_THROW(Windows(corpus(1), 4, 4), std::invalid_argument);
  EXPECT_THROW(Windows({}, 4, 4), std::invalid_argument);
  EXPECT_THROW(Windows({corpus(9).source, 3, 10}, 4, 4), std::invalid_argument);
  EXPECT_THROW(Windows(corpus(9), 0, 0), std::invalid_argument);
  EXPECT_THROW(Windows(corpus(9), 4, 5), std::invalid_argument);
  EXPECT_THROW(Windows(corpus(9), 4, 0), std::invalid_argument);
  EXPECT_THROW(Windows(corpus(9), 4, 4).batch({2}), std::out_of_range);
  EXPECT_THROW(Windows(corpus(9), 4, 4).batch({-1}), std::out_of_range);
}

TEST(MemoryTokens, RefusesBadDocumentsAndReads) {
  EXPECT_THROW(MemoryTokens({1, 2}, {1}), std::invalid_argument);
  EXPECT_THROW(MemoryTokens({1, 2}, {0, 2}), std::invalid_argument);
  EXPECT_THROW(MemoryTokens({1, 2, 3}, {0, 1, 1}), std::invalid_argument);
  EXPECT_THROW(MemoryTokens({1, -2}), std::invalid_argument);
  EXPECT_THROW(MemoryTokens({}), std::invalid_argument);
  const MemoryTokens tokens({1, 2, 3});
  std::vector<int32_t> out(2);
  tokens.read(1, out);
  EXPECT_EQ(out, (std::vector<int32_t>{2, 3}));
  EXPECT_THROW(tokens.read(2, out), std::out_of_range);
  EXPECT_THROW(tokens.read(-1, out), std::out_of_range);
}

TEST(MemoryTokens, TheHashIsTheOneDescribedAndTellsAnyDifference) {
  const std::string hash = MemoryTokens({1, 2, 3}, {0, 1}, "byte").content_hash();
  // Computed with Python's hashlib from "terse tokens 1\nbyte\n", then 1, 2, 3 as int32, then 0, 1 and the counts 3, 2
  // as int64.
  EXPECT_EQ(hash, "add7cdbad45cc5ebd702bd5748a96c05898c68d3209cb55ef9a9c389075c4be6");
  EXPECT_NE(hash, MemoryTokens({1, 2, 4}, {0, 1}, "byte").content_hash());
  EXPECT_NE(hash, MemoryTokens({1, 2, 3}, {0, 2}, "byte").content_hash());
  EXPECT_NE(hash, MemoryTokens({1, 2, 3}, {0}, "byte").content_hash());
  EXPECT_NE(hash, MemoryTokens({1, 2, 3}, {0, 1}, "char:0").content_hash());
}

}  // namespace
}  // namespace terse::data
