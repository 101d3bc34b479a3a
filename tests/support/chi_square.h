// Pearson's test of whether counts fit expected ones, for draws that are the same in every run: seeds are fixed, so a
// sound program either passes always or never, and kChance is how unlikely a sound program that fails would be.
#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

namespace terse::support {

inline constexpr double kChance = 1e-6;

inline double chi_square(const std::vector<double>& counts, const std::vector<double>& expected) {
  double sum = 0;
  for (size_t i = 0; i < counts.size(); ++i)
    if (expected[i] > 0) sum += (counts[i] - expected[i]) * (counts[i] - expected[i]) / expected[i];
  return sum;
}

// The value that a chi-square of so many degrees of freedom exceeds with probability kChance: Wilson and Hilferty 1931.
inline double chi_square_limit(double degrees) {
  constexpr double kQuantile = 4.753424;  // of the normal distribution, at 1 - kChance
  const double a = 2 / (9 * degrees);
  return degrees * std::pow(1 - a + kQuantile * std::sqrt(a), 3);
}

}  // namespace terse::support
