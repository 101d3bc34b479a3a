// Compares packed attention and its gradients with double precision, and decoding over growing caches with packed
// attention bit for bit. Segments must not affect each other.
#include <c10/util/BFloat16.h>

#include <list>

#include "tests/trainer/kernels/support.h"

namespace terse::trainer::kernels {
namespace {

struct Shape {
  int64_t heads, kv_heads, width;
  std::vector<int64_t> lengths;        // of the segments
  std::vector<int32_t> prefixes = {};  // of the segments, or empty

  int64_t rows() const {
    int64_t sum = 0;
    for (const int64_t length : lengths) sum += length;
    return sum;
  }
  int64_t stride() const { return (heads + 2 * kv_heads) * width; }  // of a fused q|k|v row
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(width)); }
  std::vector<int32_t> segments() const {
    std::vector<int32_t> starts = {0};
    for (const int64_t length : lengths) starts.push_back(starts.back() + static_cast<int32_t>(length));
    return starts;
  }
  // The rows that the last token of a segment attends to.
  std::vector<int64_t> keys(size_t segment) const {
    const std::vector<int32_t> starts = segments();
    std::vector<int64_t> rows;
    const auto add = [&](size_t s) {
      for (int64_t row = starts[s]; row < starts[s + 1]; ++row) rows.push_back(row);
    };
    if (!prefixes.empty() && prefixes[segment] >= 0) add(static_cast<size_t>(prefixes[segment]));
    add(segment);
    return rows;
  }
};

void PrintTo(const Shape& shape, std::ostream* out) {
  *out << "H " << shape.heads << ", KV " << shape.kv_heads << ", C " << shape.width << ", " << shape.rows() << " rows";
}

const Shape kShapes[] = {{1, 1, 8, {1}},
                         {4, 4, 16, {1, 7, 15, 16, 17, 33, 60}},
                         {4, 2, 32, {13, 100}},
                         {6, 1, 24, {5, 40, 3}},
                         {3, 3, 40, {50}},
                         {2, 1, 64, {130, 31}},
                         {14, 1, 16, {30}},
                         {2, 2, 128, {37, 12}},
                         {1, 1, 256, {20}},
                         // Shared prefixes: shorter and longer than blocks of 16, 48 and 128 keys, and one that nobody
                         // shares.
                         {4, 2, 32, {5, 9, 1, 60, 7, 16, 3, 40}, {-1, 0, 0, 0, -1, -1, 5, 5}},
                         {2, 1, 24, {130, 31, 50, 1}, {-1, 0, 0, 0}},
                         {3, 3, 40, {48, 48, 48}, {-1, 0, 0}}};

struct Result {
  Floats out, lse;
};

Result packed(const Table& table, const Shape& shape, const Floats& qkv) {
  Result result{Floats(shape.rows() * shape.heads * shape.width), Floats(shape.rows() * shape.heads)};
  const std::vector<int32_t> segments = shape.segments();
  table.attention({.q = qkv.data(),
                   .k = qkv.data() + shape.heads * shape.width,
                   .v = qkv.data() + (shape.heads + shape.kv_heads) * shape.width,
                   .segments = segments.data(),
                   .segment_count = static_cast<int64_t>(shape.lengths.size()),
                   .prefixes = shape.prefixes.empty() ? nullptr : shape.prefixes.data(),
                   .heads = shape.heads,
                   .kv_heads = shape.kv_heads,
                   .head_dim = shape.width,
                   .q_stride = shape.stride(),
                   .kv_stride = shape.stride(),
                   .scale = shape.scale(),
                   .out = result.out.data(),
                   .lse = result.lse.data()});
  return result;
}

// Attention and its gradient in double precision, straight from the formulas.
struct Reference {
  std::vector<double> out, lse, dqkv;
};

Reference reference(const Shape& s, const Floats& qkv, const Floats& d_out) {
  Reference r{std::vector<double>(s.rows() * s.heads * s.width), {}, std::vector<double>(qkv.size())};
  r.lse.resize(s.rows() * s.heads);
  for (size_t segment = 0; segment < s.lengths.size(); ++segment) {
    const std::vector<int64_t> keys = s.keys(segment);
    const int64_t length = s.lengths[segment], before = static_cast<int64_t>(keys.size()) - length;
    for (int64_t h = 0; h < s.heads; ++h)
      for (int64_t t = 0; t < length; ++t) {
        const int64_t row = keys[static_cast<size_t>(before + t)], seen = before + t + 1;
        const int64_t q = row * s.stride() + h * s.width, o = (row * s.heads + h) * s.width;
        const int64_t kv_head = h / (s.heads / s.kv_heads);
        const auto k = [&](int64_t j) { return keys[j] * s.stride() + (s.heads + kv_head) * s.width; };
        const auto v = [&](int64_t j) { return k(j) + s.kv_heads * s.width; };
        std::vector<double> p(seen), dp(seen);
        double sum = 0, delta = 0;
        for (int64_t j = 0; j < seen; ++j) {
          double score = 0;
          for (int64_t c = 0; c < s.width; ++c) score += static_cast<double>(qkv[q + c]) * qkv[k(j) + c];
          sum += p[j] = std::exp(score * s.scale());
        }
        r.lse[row * s.heads + h] = std::log(sum);
        for (int64_t j = 0; j < seen; ++j) {
          p[j] /= sum;
          for (int64_t c = 0; c < s.width; ++c) {
            r.out[o + c] += p[j] * qkv[v(j) + c];
            r.dqkv[v(j) + c] += p[j] * d_out[o + c];
            dp[j] += static_cast<double>(d_out[o + c]) * qkv[v(j) + c];
          }
          delta += p[j] * dp[j];
        }
        for (int64_t j = 0; j < seen; ++j)
          for (int64_t c = 0; c < s.width; ++c) {
            const double ds = p[j] * (dp[j] - delta) * s.scale();
            r.dqkv[q + c] += ds * qkv[k(j) + c];
            r.dqkv[k(j) + c] += ds * qkv[q + c];
          }
      }
  }
  return r;
}

Floats backward(const Table& table, const Shape& shape, const Floats& qkv, const Result& result, const Floats& d_out) {
  Floats dqkv(qkv.size(), 3.0f);  // the kernel must overwrite every element
  const std::vector<int32_t> segments = shape.segments();
  const int64_t k = shape.heads * shape.width, v = k + shape.kv_heads * shape.width;
  table.attention_backward({.forward = {.q = qkv.data(),
                                        .k = qkv.data() + k,
                                        .v = qkv.data() + v,
                                        .segments = segments.data(),
                                        .segment_count = static_cast<int64_t>(shape.lengths.size()),
                                        .prefixes = shape.prefixes.empty() ? nullptr : shape.prefixes.data(),
                                        .heads = shape.heads,
                                        .kv_heads = shape.kv_heads,
                                        .head_dim = shape.width,
                                        .q_stride = shape.stride(),
                                        .kv_stride = shape.stride(),
                                        .scale = shape.scale(),
                                        .out = const_cast<float*>(result.out.data()),
                                        .lse = const_cast<float*>(result.lse.data())},
                            .d_out = d_out.data(),
                            .dq = dqkv.data(),
                            .dk = dqkv.data() + k,
                            .dv = dqkv.data() + v});
  return dqkv;
}

TEST(KernelsAttention, MatchesDoublePrecisionForwardAndBackward) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(testing::PrintToString(shape));
    const Floats qkv = random_floats(shape.rows() * shape.stride(), 1);
    const Floats d_out = random_floats(shape.rows() * shape.heads * shape.width, 2);
    const Reference expected = reference(shape, qkv, d_out);
    Result result;
    run_everywhere([&](const Table& table) {
      result = packed(table, shape, qkv);
      Floats all = result.out;
      all.insert(all.end(), result.lse.begin(), result.lse.end());
      return all;
    });
    EXPECT_TRUE(close(result.out, expected.out, 2e-6));
    EXPECT_TRUE(close(result.lse, expected.lse, 2e-6));
    EXPECT_TRUE(close(run_everywhere([&](const Table& table) { return backward(table, shape, qkv, result, d_out); }),
                      expected.dqkv, 2e-5));
  }
}

// Copies rows of [rows, width] to a new array.
Floats rows_of(const Floats& values, int64_t width, const std::vector<int64_t>& rows) {
  Floats copy;
  for (const int64_t row : rows)
    copy.insert(copy.end(), values.begin() + row * width, values.begin() + (row + 1) * width);
  return copy;
}

TEST(KernelsAttention, ASharedPrefixGivesTheBitsOfACopyOfIt) {
  for (const Shape& shape : kShapes) {
    if (shape.prefixes.empty()) continue;
    SCOPED_TRACE(testing::PrintToString(shape));
    const Floats qkv = random_floats(shape.rows() * shape.stride(), 1);
    const Result shared = packed(cpu(), shape, qkv);
    for (size_t segment = 0; segment < shape.lengths.size(); ++segment) {
      const std::vector<int64_t> rows = shape.keys(segment);
      const int64_t keys = static_cast<int64_t>(rows.size()), length = shape.lengths[segment];
      const Shape one = {shape.heads, shape.kv_heads, shape.width, {keys}};
      const Result alone = packed(cpu(), one, rows_of(qkv, shape.stride(), rows));
      const int64_t out_row = shape.heads * shape.width, begin = shape.segments()[segment];
      EXPECT_TRUE(same_bits(alone.out.data() + (keys - length) * out_row, shared.out.data() + begin * out_row,
                            length * out_row));
      EXPECT_TRUE(same_bits(alone.lse.data() + (keys - length) * shape.heads, shared.lse.data() + begin * shape.heads,
                            length * shape.heads));
    }
  }
}

TEST(KernelsAttention, LongSegmentsMatchDoublePrecision) {
  const Shape shape = {2, 1, 16, {700, 3}};
  const Floats qkv = random_floats(shape.rows() * shape.stride(), 1, 2);
  const Floats d_out = random_floats(shape.rows() * shape.heads * shape.width, 2);
  const Reference expected = reference(shape, qkv, d_out);
  const Result result = packed(cpu(), shape, qkv);
  EXPECT_TRUE(close(result.out, expected.out, 5e-6));
  EXPECT_TRUE(close(backward(cpu(), shape, qkv, result, d_out), expected.dqkv, 1e-4));
}

TEST(KernelsAttention, ASegmentDoesNotDependOnItsNeighbours) {
  const Shape shape = {4, 2, 24, {21, 50, 9}};
  const int64_t out_row = shape.heads * shape.width;
  const Floats qkv = random_floats(shape.rows() * shape.stride(), 1);
  const Floats d_out = random_floats(shape.rows() * out_row, 2);
  const Result all = packed(cpu(), shape, qkv);
  const Floats grad = backward(cpu(), shape, qkv, all, d_out);
  int64_t begin = 0;
  for (const int64_t length : shape.lengths) {
    const Shape one = {shape.heads, shape.kv_heads, shape.width, {length}};
    const Floats its_qkv(qkv.begin() + begin * shape.stride(), qkv.begin() + (begin + length) * shape.stride());
    const Floats its_d_out(d_out.begin() + begin * out_row, d_out.begin() + (begin + length) * out_row);
    const Result alone = packed(cpu(), one, its_qkv);
    EXPECT_TRUE(same_bits(alone.out.data(), all.out.data() + begin * out_row, length * out_row));
    EXPECT_TRUE(same_bits(alone.lse.data(), all.lse.data() + begin * shape.heads, length * shape.heads));
    const Floats alone_grad = backward(cpu(), one, its_qkv, alone, its_d_out);
    EXPECT_TRUE(same_bits(alone_grad.data(), grad.data() + begin * shape.stride(), length * shape.stride()));
    begin += length;
  }
}

TEST(KernelsAttention, LaterTokensChangeNoBitNotEvenNan) {
  const Shape shape = {2, 1, 16, {45}};
  const Floats qkv = random_floats(shape.rows() * shape.stride(), 1);
  const Result clean = packed(cpu(), shape, qkv);
  const int64_t out_row = shape.heads * shape.width;
  for (const int64_t from : {1, 5, 15, 16, 31, 44}) {
    Floats spoiled = qkv;
    for (size_t i = from * shape.stride(); i < spoiled.size(); ++i) spoiled[i] = i % 2 == 0 ? NAN : INFINITY;
    EXPECT_TRUE(same_bits(clean.out.data(), packed(cpu(), shape, spoiled).out.data(), from * out_row)) << from;
  }
}

// A cache with one page table per sequence. Fresh memory holds NaN, so a read past the length shows in the result.
class Cache {
 public:
  Cache(const Shape& shape, const KvLayout& layout) : layout_(layout) {
    layout_.kv_heads = shape.kv_heads;
    layout_.head_dim = shape.width;
    for (const int64_t length : shape.lengths) {
      std::vector<void*> pages;
      for (int64_t t = 0; t < length; t += layout_.page_tokens) pages.push_back(fresh_page());
      tables_.push_back(pages);
    }
  }
  const KvLayout& layout() const { return layout_; }
  void* const* pages(size_t sequence) const { return tables_[sequence].data(); }
  // From now on the sequence has the first pages of another one.
  void share(size_t sequence, size_t other, size_t pages) {
    std::copy_n(tables_[other].begin(), pages, tables_[sequence].begin());
  }

 private:
  void* fresh_page() {
    constexpr uint8_t kNan = 0xff;  // all bytes of a NaN, as a float and as a bf16 number
    memory_.emplace_back(layout_.bytes() + 4 * layout_.offset, kNan);
    return memory_.back().data();
  }

  KvLayout layout_;
  std::list<std::vector<uint8_t>> memory_;
  std::vector<std::vector<void*>> tables_;
};

// The batch with keys and values as the cache holds them.
Floats as_cached(const Shape& shape, Floats qkv, bool bf16) {
  const int64_t first = shape.heads * shape.width;
  for (int64_t row = 0; bf16 && row < shape.rows(); ++row)
    for (int64_t c = first; c < shape.stride(); ++c) {
      float& x = qkv[row * shape.stride() + c];
      x = static_cast<float>(c10::BFloat16(x));
    }
  return qkv;
}

// One (sequence, position) of the packed batch to append and decode.
struct Step {
  size_t sequence;
  int64_t position;
};

// Runs the steps as one batch and writes their rows of `out` (packed order).
void decode(const Table& table, const Shape& shape, const Cache& cache, const Floats& qkv,
            const std::vector<Step>& steps, Floats& out) {
  const std::vector<int32_t> segments = shape.segments();
  Floats batch;
  std::vector<void* const*> pages;
  std::vector<int64_t> positions;
  for (const Step& step : steps) {
    const auto row = qkv.begin() + (segments[step.sequence] + step.position) * shape.stride();
    batch.insert(batch.end(), row, row + shape.stride());
    pages.push_back(cache.pages(step.sequence));
    positions.push_back(step.position);
  }
  const KvRows rows = {cache.layout(), pages.data(), positions.data(), static_cast<int64_t>(steps.size())};
  const int64_t k = shape.heads * shape.width, out_row = k;
  table.kv_append({.to = rows,
                   .k = batch.data() + k,
                   .v = batch.data() + k + shape.kv_heads * shape.width,
                   .kv_stride = shape.stride()});
  Floats result(steps.size() * out_row);
  table.attention_decode({.from = rows,
                          .q = batch.data(),
                          .heads = shape.heads,
                          .q_stride = shape.stride(),
                          .scale = shape.scale(),
                          .out = result.data()});
  for (size_t i = 0; i < steps.size(); ++i)
    std::copy_n(result.begin() + i * out_row, out_row,
                out.begin() + (segments[steps[i].sequence] + steps[i].position) * out_row);
}

TEST(KernelsAttention, DecodingTokenByTokenGivesThePackedBits) {
  const KvLayout layouts[] = {{.page_tokens = 16, .bf16 = true},
                              {.page_tokens = 16},
                              {.page_tokens = 48, .offset = 33},
                              {.page_tokens = 48, .offset = 33, .bf16 = true},
                              {.page_tokens = 256}};
  for (const Shape& shape : kShapes)
    for (const KvLayout& layout : layouts) {
      if (!shape.prefixes.empty()) continue;
      SCOPED_TRACE(testing::PrintToString(shape) + ", pages of " + std::to_string(layout.page_tokens) +
                   (layout.bf16 ? ", bf16" : ""));
      const Floats qkv = random_floats(shape.rows() * shape.stride(), 1);
      const Floats expected = packed(cpu(), shape, as_cached(shape, qkv, layout.bf16)).out;
      EXPECT_TRUE(same_bits(expected, run_everywhere([&](const Table& table) {
                              const Cache cache(shape, layout);
                              Floats out(expected.size());
                              // All sequences that still have a token are decoded together, later ones first.
                              for (int64_t t = 0;; ++t) {
                                std::vector<Step> steps;
                                for (size_t s = shape.lengths.size(); s-- > 0;)
                                  if (t < shape.lengths[s]) steps.push_back({s, t});
                                if (steps.empty()) return out;
                                decode(table, shape, cache, qkv, steps, out);
                              }
                            })));
    }
}

TEST(KernelsAttention, PrefillOfManyTokensAtOnceGivesThePackedBits) {
  const Shape shape = {4, 2, 16, {70, 20}};
  const Floats qkv = random_floats(shape.rows() * shape.stride(), 1);
  const Floats expected = packed(cpu(), shape, qkv).out;
  const Cache cache(shape, {.page_tokens = 32});
  Floats out(expected.size());
  std::vector<Step> first, second, last;
  for (int64_t t = 0; t < 50; ++t) first.push_back({0, t});
  for (int64_t t = 0; t < 20; ++t) first.push_back({1, t});
  for (int64_t t = 50; t < 69; ++t) second.push_back({0, t});
  last.push_back({0, 69});
  for (const auto& steps : {first, second, last}) decode(cpu(), shape, cache, qkv, steps, out);
  EXPECT_TRUE(same_bits(expected, out));
}

TEST(KernelsAttention, RowsThatReadTheSamePagesGetThePackedBits) {
  // Fifteen responses to a prompt of 40 tokens share two pages of 16, and two responses to another prompt share one.
  std::vector<int64_t> lengths(15, 0);
  for (size_t s = 0; s < lengths.size(); ++s) lengths[s] = 41 + static_cast<int64_t>(7 * s % 20);
  lengths.insert(lengths.end(), {20, 35});
  for (const Shape& shape : {Shape{4, 4, 64, lengths}, Shape{6, 2, 24, lengths}, Shape{40, 1, 16, lengths}})
    for (const bool bf16 : {false, true}) {
      SCOPED_TRACE(testing::PrintToString(shape) + (bf16 ? ", bf16" : ""));
      const std::vector<int32_t> segments = shape.segments();
      Floats qkv = random_floats(shape.rows() * shape.stride(), 1);
      const auto row = [&](size_t s, int64_t t) { return qkv.begin() + (segments[s] + t) * shape.stride(); };
      for (size_t s = 1; s < 15; ++s) std::copy(row(0, 0), row(0, 40), row(s, 0));
      std::copy(row(15, 0), row(15, 16), row(16, 0));
      const Floats expected = packed(cpu(), shape, as_cached(shape, qkv, bf16)).out;
      EXPECT_TRUE(same_bits(expected, run_everywhere([&](const Table& table) {
                              Cache cache(shape, {.page_tokens = 16, .bf16 = bf16});
                              for (size_t s = 1; s < 15; ++s) cache.share(s, 0, 2);
                              cache.share(16, 15, 1);
                              Floats out(expected.size());
                              std::vector<Step> last;
                              for (size_t s = 0; s < lengths.size(); ++s) {
                                std::vector<Step> steps;
                                for (int64_t t = 0; t + 1 < lengths[s]; ++t) steps.push_back({s, t});
                                decode(table, shape, cache, qkv, steps, out);
                                last.push_back({s, lengths[s] - 1});
                              }
                              decode(table, shape, cache, qkv, last, out);
                              return out;
                            })));
    }
}

TEST(KernelsAttention, ReusedPagesHoldNothingOfTheSequenceBefore) {
  const Shape shape = {2, 2, 16, {40}};
  const Floats first = random_floats(shape.rows() * shape.stride(), 1),
               second = random_floats(shape.rows() * shape.stride(), 2);
  const Cache cache(shape, {.page_tokens = 16});
  Floats out(shape.rows() * shape.heads * shape.width);
  for (const Floats* qkv : {&first, &second})
    for (int64_t t = 0; t < 40; ++t) decode(cpu(), shape, cache, *qkv, {{0, t}}, out);
  EXPECT_TRUE(same_bits(packed(cpu(), shape, second).out, out));
}

TEST(KernelsAttention, EmptySegmentsAreAllowed) {
  const Shape shape = {2, 1, 16, {0, 12, 0, 0, 5, 0}}, dense = {2, 1, 16, {12, 5}};
  const Floats qkv = random_floats(shape.rows() * shape.stride(), 1);
  const Result result = packed(cpu(), shape, qkv);
  EXPECT_TRUE(same_bits(packed(cpu(), dense, qkv).out, result.out));
  const Floats d_out = random_floats(static_cast<int64_t>(result.out.size()), 2);
  EXPECT_TRUE(same_bits(backward(cpu(), dense, qkv, result, d_out), backward(cpu(), shape, qkv, result, d_out)));
}

TEST(KernelsAttention, LargeScoresDoNotOverflow) {
  const Shape shape = {1, 1, 16, {20}};
  const Floats qkv = random_floats(shape.rows() * shape.stride(), 1, 100);
  const Floats d_out = random_floats(shape.rows() * shape.width, 2);
  const Result result = packed(cpu(), shape, qkv);
  for (const float v : result.out) ASSERT_TRUE(std::isfinite(v));
  for (const float v : backward(cpu(), shape, qkv, result, d_out)) ASSERT_TRUE(std::isfinite(v));
}

}  // namespace
}  // namespace terse::trainer::kernels
