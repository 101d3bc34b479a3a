// Measures the speed of the CPU kernels on the shapes of training and decoding, and compares it with the multiply-add
// peak measured in the same run.
//   usage: kernels_bench [threads] [seconds per line] [avx2|avx512|avx512_bf16]
// Every figure is the best of many short runs, so that other load on the machine has little effect.
#include <fmt/format.h>
#include <omp.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "trainer/kernels/kernels.h"

namespace {

using namespace terse::trainer::kernels;
using Floats = std::vector<float>;

double seconds_per_line = 0.3;
double peak = 0;  // operations per second of all threads

// Returns the processor time with one thread, because other programs do not lengthen it, and the wall time with more.
double now() {
  timespec time;
  clock_gettime(omp_get_max_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double best_seconds(const std::function<void()>& body) {
  body();
  double best = 1e9;
  const double start = now();
  for (;;) {
    const double before = now();
    body();
    const double after = now();
    best = std::min(best, after - before);
    if (after - start > seconds_per_line) return best;
  }
}

using V8 = float __attribute__((vector_size(32)));
using V16 = float __attribute__((vector_size(64)));

// `count` rounds of 12 independent multiply-adds of a whole vector.
template <class V>
inline __attribute__((always_inline)) void multiply_adds(int64_t count) {
  V acc[12] = {};
  V a = {}, b = {};
  asm volatile("" : "+v"(a), "+v"(b));  // or the compiler would know that their product is zero
  for (int64_t i = 0; i < count; ++i)
    for (V& x : acc) {
      x = a * b + x;
      asm volatile("" : "+v"(x));
    }
}
__attribute__((target("avx2,fma"), optimize("O3,fp-contract=fast"))) void multiply_adds_avx2(int64_t count) {
  multiply_adds<V8>(count);
}
__attribute__((target("avx512f"), optimize("O3,fp-contract=fast"))) void multiply_adds_avx512(int64_t count) {
  multiply_adds<V16>(count);
}

void measure_peak(const Table& table) {
  constexpr int64_t kRounds = 20000;
  const bool wide = std::string(table.isa) != "avx2";
  const double seconds = best_seconds([&] {
#pragma omp parallel
    wide ? multiply_adds_avx512(kRounds) : multiply_adds_avx2(kRounds);
  });
  peak = 2.0 * (wide ? 16 : 8) * 12 * kRounds * omp_get_max_threads() / seconds;
  fmt::print("{}, {} threads: multiply-add peak {:.1f} GFLOP/s\n\n", table.isa, omp_get_max_threads(), peak * 1e-9);
  fmt::print("{:<34}{:>10}{:>12}{:>9}\n", "kernel", "us", "GFLOP/s", "of peak");
}

void line(const std::string& name, double flops, const std::function<void()>& body) {
  const double seconds = best_seconds(body);
  fmt::print("{:<34}{:>10.1f}{:>12.1f}{:>8.1f}%\n", name, seconds * 1e6, flops / seconds * 1e-9,
             100 * flops / seconds / peak);
}

void line_bytes(const std::string& name, double bytes, const std::function<void()>& body) {
  const double seconds = best_seconds(body);
  fmt::print("{:<34}{:>10.1f}{:>12.1f} GB/s\n", name, seconds * 1e6, bytes / seconds * 1e-9);
}

std::vector<Bf16> in_bf16(const Table& table, const Floats& x) {
  std::vector<Bf16> rounded(x.size());
  table.round_to_bf16(x.data(), rounded.data(), static_cast<int64_t>(x.size()));
  return rounded;
}

Floats random_floats(int64_t count) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  Floats values(static_cast<size_t>(count));
  for (float& v : values) v = normal(generator);
  return values;
}

struct ProductShape {
  int64_t m, n, k;
};

void bench_product(const Table& table, const ProductShape& s) {
  const Floats x = random_floats(s.m * s.k), w = random_floats(s.k * s.n), dy = random_floats(s.m * s.n);
  const std::vector<Bf16> x16 = in_bf16(table, x), w16 = in_bf16(table, w), dy16 = in_bf16(table, dy);
  Floats y(s.m * s.n), dw(s.n * s.k), panels(packed_floats(s.n, s.k));
  std::vector<Bf16> panels16(packed_bf16(s.n, s.k));
  table.pack_weight(w.data(), panels.data(), s.n, s.k);
  table.pack_weight_bf16(w16.data(), panels16.data(), s.n, s.k);
  const double flops = 2.0 * s.m * s.n * s.k;
  const std::string name = fmt::format("M={} N={} K={}", s.m, s.n, s.k);
  line("gemm    " + name, flops, [&] { table.gemm(x.data(), w.data(), nullptr, y.data(), s.m, s.n, s.k, false); });
  line("  bf16", flops, [&] { table.gemm_bf16(x16.data(), w16.data(), y.data(), s.m, s.n, s.k, false); });
  line("packed  " + name, flops, [&] { table.gemm_packed(x.data(), panels.data(), nullptr, y.data(), s.m, s.n, s.k); });
  line("  bf16", flops, [&] { table.gemm_packed_bf16(x16.data(), panels16.data(), nullptr, y.data(), s.m, s.n, s.k); });
  if (s.m < 256) return;
  for (const int64_t tokens : {int64_t{48}, s.m}) {  // short sequences, and a long one
    std::vector<int32_t> starts;
    for (int64_t row = 0; row < s.m; row += tokens) starts.push_back(static_cast<int32_t>(row));
    starts.push_back(static_cast<int32_t>(s.m));
    const Sequences rows{starts.data(), static_cast<int64_t>(starts.size()) - 1};
    const std::string lengths = fmt::format(" of {} tokens", tokens);
    line("w. grad " + (tokens == s.m ? lengths : name), flops,
         [&] { table.weight_grad(dy.data(), x.data(), dw.data(), rows, s.n, s.k); });
    line("  bf16", flops, [&] { table.weight_grad_bf16(dy16.data(), x16.data(), dw.data(), rows, s.n, s.k); });
  }
}

void bench_products(const Table& table) {
  for (const ProductShape& s : {ProductShape{3000, 64, 64},
                                {3000, 384, 64},
                                {3000, 64, 192},
                                {3000, 29, 64},
                                {3000, 384, 384},
                                {3000, 1024, 384},
                                {1087, 1152, 384},
                                {1087, 384, 384},
                                {1087, 2048, 384},
                                {1087, 384, 1024},
                                {1000, 1024, 1024},
                                {768, 1536, 1536},
                                {1024, 960, 576},
                                {1024, 3072, 576},
                                {1024, 576, 1536},
                                {256, 49152, 576},
                                {32, 3072, 576},
                                {32, 576, 1536},
                                {32, 49152, 576},
                                {8, 3072, 576},
                                {1, 3072, 576},
                                {288, 64, 64},
                                {288, 384, 64},
                                {24, 384, 384},
                                {1, 384, 384},
                                {4, 384, 384}})
    bench_product(table, s);
}

void bench_attention(const Table& table) {
  struct Shape {
    int64_t segments, tokens, heads, kv_heads, width;
  };
  for (const Shape& s : {Shape{100, 30, 4, 4, 16},
                         {64, 60, 4, 4, 16},
                         {32, 120, 4, 4, 16},
                         {12, 256, 6, 6, 64},
                         {4, 256, 14, 2, 64},
                         {2, 1024, 4, 4, 64}}) {
    const int64_t rows = s.segments * s.tokens, stride = (s.heads + 2 * s.kv_heads) * s.width;
    const Floats qkv = random_floats(rows * stride), d_out = random_floats(rows * s.heads * s.width);
    Floats out(rows * s.heads * s.width), lse(rows * s.heads), dqkv(qkv.size());
    std::vector<int32_t> segments;
    for (int64_t i = 0; i <= s.segments; ++i) segments.push_back(static_cast<int32_t>(i * s.tokens));
    const int64_t k = s.heads * s.width, v = k + s.kv_heads * s.width;
    const Attention args{.q = qkv.data(),
                         .k = qkv.data() + k,
                         .v = qkv.data() + v,
                         .segments = segments.data(),
                         .segment_count = s.segments,
                         .heads = s.heads,
                         .kv_heads = s.kv_heads,
                         .head_dim = s.width,
                         .q_stride = stride,
                         .kv_stride = stride,
                         .scale = 0.25f,
                         .out = out.data(),
                         .lse = lse.data()};
    const double pairs = s.segments * s.heads * s.tokens * (s.tokens + 1) / 2.0;
    const std::string name = fmt::format("{}x{} H={}/{} C={}", s.segments, s.tokens, s.heads, s.kv_heads, s.width);
    line("attention " + name, 4 * pairs * s.width, [&] { table.attention(args); });
    line("  backward", 10 * pairs * s.width, [&] {
      table.attention_backward(
          {.forward = args, .d_out = d_out.data(), .dq = dqkv.data(), .dk = dqkv.data() + k, .dv = dqkv.data() + v});
    });
  }
}

void bench_decode(const Table& table) {
  struct Shape {
    int64_t rows, tokens, heads, kv_heads, width;
  };
  for (const Shape& s : {Shape{288, 40, 4, 4, 16}, {32, 256, 14, 2, 64}, {1, 1024, 4, 4, 64}}) {
    const int64_t full = (s.tokens + 15) / 16 * 16;
    const KvLayout layout{s.kv_heads, s.width, full, 0};
    Floats memory = random_floats(s.rows * layout.numbers());
    std::vector<void*> slots;
    std::vector<void* const*> pages;
    for (int64_t i = 0; i < s.rows; ++i) slots.push_back(memory.data() + i * layout.numbers());
    for (int64_t i = 0; i < s.rows; ++i) pages.push_back(&slots[i]);
    const std::vector<int64_t> positions(s.rows, s.tokens - 1);
    const Floats q = random_floats(s.rows * s.heads * s.width);
    Floats out(q.size());
    line(fmt::format("decode {}x{} H={}/{} C={}", s.rows, s.tokens, s.heads, s.kv_heads, s.width),
         4.0 * s.rows * s.heads * s.tokens * s.width, [&] {
           table.attention_decode({.from = {layout, pages.data(), positions.data(), s.rows},
                                   .q = q.data(),
                                   .heads = s.heads,
                                   .scale = 0.25f,
                                   .out = out.data()});
         });
  }
}

constexpr int64_t kRows = 3000, kWidth = 64, kFfn = 192, kVocab = 1000;

// Sequences of 50 tokens.
std::vector<int32_t> starts_of_sequences() {
  std::vector<int32_t> starts;
  for (int64_t row = 0; row <= kRows; row += 50) starts.push_back(static_cast<int32_t>(row));
  return starts;
}

void bench_norm_and_rope(const Table& table) {
  const Floats x = random_floats(2 * kRows * kWidth), weight = random_floats(kWidth);
  Floats y(kRows * kFfn), rstd(kRows, 1.0f), dweight(kWidth);
  const std::vector<int32_t> starts = starts_of_sequences();
  line_bytes("rms_norm 3000 x 64", 8.0 * kRows * kWidth, [&] {
    table.rms_norm({.x = x.data(),
                    .weight = weight.data(),
                    .eps = 1e-6f,
                    .y = y.data(),
                    .rstd = rstd.data(),
                    .rows = kRows,
                    .width = kWidth});
  });
  line_bytes("  backward", 12.0 * kRows * kWidth, [&] {
    table.rms_norm_backward({.dy = x.data(),
                             .x = x.data() + kRows * kWidth,
                             .weight = weight.data(),
                             .rstd = rstd.data(),
                             .dx = y.data(),
                             .dweight = dweight.data(),
                             .sequences = {starts.data(), static_cast<int64_t>(starts.size()) - 1},
                             .width = kWidth});
  });
  const std::vector<int64_t> positions(kRows, 5);
  Floats turns(10 * 16);
  rope_table(turns.data(), 10, {1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003});
  line_bytes("rope 3000 x 8 heads of 16", 8.0 * kRows * 128, [&] {
    table.rope({.x = y.data(),
                .positions = positions.data(),
                .table = turns.data(),
                .rows = kRows,
                .heads = 8,
                .head_dim = 16,
                .row_stride = 192});
  });
}

void bench_sums_and_swiglu(const Table& table) {
  const Floats x = random_floats(kRows * 2 * kFfn), dh = random_floats(kRows * kFfn);
  Floats y(kRows * 2 * kFfn), sum(kWidth);
  const std::vector<int32_t> starts = starts_of_sequences();
  const Sequences sequences{starts.data(), static_cast<int64_t>(starts.size()) - 1};
  const std::vector<int64_t> ids(kRows, 5);
  std::vector<int64_t> order(kRows);
  std::iota(order.begin(), order.end(), 0);
  line_bytes("add 3000 x 64", 12.0 * kRows * kWidth, [&] { table.add(x.data(), y.data(), y.data(), kRows * kWidth); });
  line_bytes("column_sum 3000 x 64", 4.0 * kRows * kWidth,
             [&] { table.column_sum(x.data(), sum.data(), sequences, kWidth); });
  line_bytes("embedding 3000 x 64", 8.0 * kRows * kWidth,
             [&] { table.embedding(x.data(), ids.data(), y.data(), kRows, kWidth); });
  line_bytes("  backward", 8.0 * kRows * kWidth,
             [&] { table.embedding_backward(x.data(), ids.data(), order.data(), y.data(), sequences, kWidth); });
  line_bytes("swiglu 3000 x 192", 12.0 * kRows * kFfn, [&] { table.swiglu(x.data(), y.data(), kRows, kFfn); });
  line_bytes("  backward", 20.0 * kRows * kFfn,
             [&] { table.swiglu_backward(x.data(), dh.data(), y.data(), kRows, kFfn); });
}

void bench_logits(const Table& table) {
  const Floats logits = random_floats(kRows * kVocab);
  Floats lse(kRows), logp(kRows), entropy(kRows), grad(kRows * kVocab);
  const std::vector<int64_t> targets(kRows, 3);
  line_bytes("logprob 3000 x 1000", 4.0 * kRows * kVocab, [&] {
    table.logprob({.logits = logits.data(),
                   .targets = targets.data(),
                   .rows = kRows,
                   .vocab = kVocab,
                   .logprob = logp.data(),
                   .lse = lse.data(),
                   .entropy = entropy.data()});
  });
  line_bytes("  backward", 8.0 * kRows * kVocab, [&] {
    table.logprob_backward({.logits = logits.data(),
                            .targets = targets.data(),
                            .rows = kRows,
                            .vocab = kVocab,
                            .lse = lse.data(),
                            .d_logprob = logp.data(),
                            .dlogits = grad.data()});
  });
  line_bytes("pack_weight 1536 x 384", 8.0 * 1536 * 384,
             [&] { table.pack_weight(logits.data(), grad.data(), 1536, 384); });
  const Floats uniforms(kRows, 0.5f);
  std::vector<int64_t> drawn(kRows);
  line_bytes("sample_tokens 3000 x 1000", 8.0 * kRows * kVocab, [&] {
    table.sample_tokens({.logits = logits.data(),
                         .uniforms = uniforms.data(),
                         .rows = kRows,
                         .vocab = kVocab,
                         .tokens = drawn.data(),
                         .logprob = logp.data(),
                         .lse = lse.data(),
                         .entropy = entropy.data()});
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) omp_set_num_threads(std::atoi(argv[1]));
  if (argc > 2) seconds_per_line = std::atof(argv[2]);
  const Table* table = argc > 3 ? cpu_table(argv[3]) : &cpu();
  if (table == nullptr) {
    fmt::print(stderr, "this processor cannot run '{}': expected avx2, avx512 or avx512_bf16\n", argv[3]);
    return 64;
  }
  measure_peak(*table);
  bench_products(*table);
  bench_attention(*table);
  bench_decode(*table);
  bench_norm_and_rope(*table);
  bench_sums_and_swiglu(*table);
  bench_logits(*table);
  return 0;
}
