// Pearson's test of whether counts fit expected ones. Seeds are fixed, so the draws are the same in every run and a
// correct program either always passes or always fails. kChance is the probability of the latter.
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

// The value that a chi-square variable with this many degrees of freedom exceeds with probability kChance: Wilson and
// Hilferty 1931.
inline double chi_square_limit(double degrees) {
  constexpr double kQuantile = 4.753424;  // of the normal distribution, at 1 - kChance
  const double a = 2 / (9 * degrees);
  return degrees * std::pow(1 - a + kQuantile * std::sqrt(a), 3);
}

}  // namespace terse::support
