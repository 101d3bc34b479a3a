// Helpers of the kernel tests: random data, bitwise comparison, and every kernel table that this processor can run.
#pragma once

#include <gtest/gtest.h>
#include <omp.h>

#include <cfloat>
#include <cmath>
#include <cstring>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "trainer/kernels/kernels.h"

namespace terse::trainer::kernels {

using Floats = std::vector<float>;

inline Floats random_floats(int64_t count, uint32_t seed, float scale = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  Floats values(static_cast<size_t>(count));
  for (float& value : values) value = normal(generator);
  return values;
}

inline std::vector<int64_t> random_ints(int64_t count, int64_t below, uint32_t seed) {
  std::mt19937 generator(seed);
  std::uniform_int_distribution<int64_t> uniform(0, below - 1);
  std::vector<int64_t> values(static_cast<size_t>(count));
  for (int64_t& value : values) value = uniform(generator);
  return values;
}

// Frequencies of rotary positions for heads of this size.
inline std::vector<double> frequencies_of(int64_t head_dim, double theta) {
  std::vector<double> out;
  for (int64_t i = 0; i < head_dim / 2; ++i) out.push_back(std::pow(theta, -2.0 * static_cast<double>(i) / head_dim));
  return out;
}

// Starts of sequences of these lengths.
inline std::vector<int32_t> starts_of(const std::vector<int32_t>& lengths) {
  std::vector<int32_t> starts = {0};
  for (const int32_t length : lengths) starts.push_back(starts.back() + length);
  return starts;
}
inline Sequences sequences_of(const std::vector<int32_t>& starts) {
  return {starts.data(), static_cast<int64_t>(starts.size()) - 1};
}

// Computes one sum over sequences by the definition in kernels.h. `chain` returns the sum of the rows [begin, end).
template <class Chain>
std::optional<float> tree_of(const Sequences& rows, const Chain& chain) {
  if (rows.starts[0] == rows.starts[rows.count]) return std::nullopt;
  if (rows.count == 1) return chain(rows.starts[0], rows.starts[1]);
  const int64_t half = tree_half(rows.count);
  const std::optional<float> left = tree_of(Sequences{rows.starts, half}, chain);
  const std::optional<float> right = tree_of(Sequences{rows.starts + half, rows.count - half}, chain);
  return left && right ? std::optional(*left + *right) : left ? left : right;
}

// Sequences of every kind: one, two, a power of two, odd counts, empty ones, single rows, and longer ones than a block.
inline const std::vector<std::vector<int32_t>> kSequenceLengths = {
    {1}, {500}, {3, 4}, {0, 7, 0}, {1, 1, 1, 1, 1}, {20, 0, 0, 33, 250, 1, 9}, {5, 6, 7, 8, 9, 10, 11, 12}};

inline std::vector<const Table*> tables() {
  std::vector<const Table*> found;
  for (const char* isa : {"avx2", "avx512", "avx512_bf16"})
    if (const Table* table = cpu_table(isa)) found.push_back(table);
  return found;
}

// Compares bits, so -0 differs from 0 and a NaN equals itself.
inline ::testing::AssertionResult same_bits(const float* a, const float* b, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (std::memcmp(a + i, b + i, sizeof(float)) != 0) {
      return ::testing::AssertionFailure() << "element " << i << " of " << count << ": " << a[i] << " and " << b[i];
    }
  return ::testing::AssertionSuccess();
}

inline ::testing::AssertionResult same_bits(const Floats& a, const Floats& b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " and " << b.size() << " elements";
  return same_bits(a.data(), b.data(), static_cast<int64_t>(a.size()));
}

// |a - b| <= tolerance * (1 + |b|) everywhere.
inline ::testing::AssertionResult close(const Floats& a, const std::vector<double>& b, double tolerance) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " and " << b.size() << " elements";
  for (size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(static_cast<double>(a[i]) - b[i]) <= tolerance * (1 + std::abs(b[i])))) {
      return ::testing::AssertionFailure()
             << "element " << i << " of " << a.size() << ": " << a[i] << ", expected " << b[i];
    }
  return ::testing::AssertionSuccess();
}

// Runs `compute` under every instruction set with 1, 2 and 3 threads. All results must have the same bits. Returns the
// result.
inline Floats run_everywhere(const std::function<Floats(const Table&)>& compute) {
  const int threads_before = omp_get_max_threads();
  Floats first;
  for (const Table* table : tables())
    for (const int threads : {1, 2, 3}) {
      omp_set_num_threads(threads);
      const Floats result = compute(*table);
      if (first.empty()) first = result;
      EXPECT_TRUE(same_bits(first, result)) << table->isa << " with " << threads << " threads";
    }
  omp_set_num_threads(threads_before);
  return first;
}

}  // namespace terse::trainer::kernels
