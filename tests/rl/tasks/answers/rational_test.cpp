// Tests exact arithmetic, its limits, and roots against digits that Python's decimal module computed.
#include "rl/tasks/answers/rational.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>
#include <string>

namespace terse::rl {
namespace {

Rational half() {
  return Rational::fraction(1, 2);
}

TEST(Rational, IsInLowestTermsWithASignInTheNumerator) {
  EXPECT_EQ(Rational::fraction(6, -8), Rational::fraction(-3, 4));
  EXPECT_EQ(Rational::fraction(6, -8).sign(), -1);
  EXPECT_TRUE(Rational::fraction(8, -4).is_whole());
  EXPECT_EQ(Rational::fraction(8, -4).whole(), -2);
  EXPECT_EQ(Rational::fraction(0, -4), Rational(0));
  EXPECT_THROW(Rational::fraction(1, 0), std::invalid_argument);
}

TEST(Rational, CalculatesExactly) {
  EXPECT_EQ(half().plus(Rational::fraction(1, 3)), Rational::fraction(5, 6));
  EXPECT_EQ(half().minus(Rational::fraction(1, 3)), Rational::fraction(1, 6));
  EXPECT_EQ(half().times(Rational::fraction(-2, 3)), Rational::fraction(-1, 3));
  EXPECT_EQ(half().over(Rational::fraction(-2, 3)), Rational::fraction(-3, 4));
  EXPECT_EQ(half().over(0), std::nullopt);
  EXPECT_EQ(Rational::fraction(-2, 3).to_the(-3), Rational::fraction(-27, 8));
  EXPECT_EQ(Rational(5).to_the(0), Rational(1));
  EXPECT_EQ(Rational(0).to_the(-1), std::nullopt);
  EXPECT_EQ(half().minus(half())->sign(), 0);
  EXPECT_LT(Rational::fraction(1, 3).compare(half()), 0);
  EXPECT_LT(Rational(-1).compare(half()), 0);
  EXPECT_EQ(Rational::fraction(-7, 2).magnitude(), Rational::fraction(7, 2));
}

TEST(Rational, HoldsTheRangeOfInt64) {
  const int64_t least = std::numeric_limits<int64_t>::min(), most = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Rational(most).whole(), most);
  EXPECT_EQ(Rational(least).negated().minus(1)->whole(), most);
  EXPECT_EQ(Rational(least).whole(), std::nullopt) << "its magnitude has 64 bits";
  EXPECT_EQ(half().whole(), std::nullopt);
}

TEST(Rational, ReadsDigitsWithAPowerOfTen) {
  EXPECT_EQ(Rational::from_digits("0725", -2), Rational::fraction(29, 4));
  EXPECT_EQ(Rational::from_digits("7", 2), Rational(700));
  for (const char* wrong : {"", "1a", "-1", "1.5", " 1"}) EXPECT_EQ(Rational::from_digits(wrong, 0), std::nullopt);
  EXPECT_EQ(Rational::from_digits("1", 100'000'000), std::nullopt);
  EXPECT_EQ(Rational::from_digits("1", -100'000'000), std::nullopt);
  EXPECT_EQ(Rational::from_digits(std::string(100'000, '9'), 0), std::nullopt);
}

TEST(Rational, WhatNeedsMoreBitsHasNoResult) {
  EXPECT_TRUE(Rational(2).to_the(Rational::kMaxBits - 1).has_value());
  EXPECT_EQ(Rational(2).to_the(Rational::kMaxBits), std::nullopt);
  EXPECT_EQ(Rational(2).to_the(-Rational::kMaxBits), std::nullopt);
  EXPECT_EQ(Rational(2).to_the(std::numeric_limits<int64_t>::max()), std::nullopt);
  EXPECT_EQ(Rational(-1).to_the(std::numeric_limits<int64_t>::min()), Rational(1));
  const Rational large = *Rational(2).to_the(Rational::kMaxBits - 1);
  EXPECT_EQ(large.times(2), std::nullopt);
  EXPECT_EQ(large.plus(large), std::nullopt);
}

TEST(Rational, RootsOfSquaresAreExact) {
  const auto root = Rational::fraction(9, 16).square_root();
  EXPECT_TRUE(root->exact);
  EXPECT_EQ(root->value, Rational::fraction(3, 4));
  EXPECT_TRUE(Rational(0).square_root()->exact);
  EXPECT_EQ(Rational(0).square_root()->value, Rational(0));
  EXPECT_FALSE(Rational(-4).square_root().has_value());
}

// The value lies in [digits, digits + 10^-95), where `digits` has 95 decimals, and 2^-320 is about 10^-96.
void expect_digits(const Rational& value, const std::string& digits) {
  const Rational below = *Rational::from_digits(digits, -95);
  EXPECT_GE(value.compare(*below.minus(*Rational::from_digits("1", -96))), 0);
  EXPECT_LT(value.compare(*below.plus(*Rational::from_digits("1", -95))), 0);
}

TEST(Rational, OtherRootsHaveTheBitsThatTheyClaim) {
  const auto two = Rational(2).square_root(), third = Rational::fraction(1, 3).square_root();
  EXPECT_FALSE(two->exact);
  EXPECT_FALSE(third->exact);
  expect_digits(two->value,
                "141421356237309504880168872420969807856967187537694807317667973799073247846210703885038753432764");
  expect_digits(third->value,
                "57735026918962576450914878050195745564760175127012687601860232648397767230293334569371539558574");
  EXPECT_LT(two->value.times(two->value)->compare(2), 0) << "rounded down";
}

TEST(Rational, RoundsDownToItsPrecision) {
  const Rational unit = *Rational(2).to_the(-Rational::kPrecision);
  EXPECT_EQ(unit.rounded(), unit);
  EXPECT_EQ(unit.over(2)->rounded(), Rational(0));
  EXPECT_EQ(unit.over(2)->negated().rounded(), unit.negated());
  EXPECT_EQ(Rational(-7).rounded(), Rational(-7));
}

}  // namespace
}  // namespace terse::rl
