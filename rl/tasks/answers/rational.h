// Exact rational numbers of any size that fits into a stated number of bits. The checks of answers compare numbers with
// them, so that no rounding makes two different answers equal. OpenSSL's BIGNUM does the arithmetic of whole numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

struct bignum_st;

namespace terse::rl {

// An immutable value. Every result is in lowest terms, and its denominator is above 0.
class Rational {
 public:
  // An operation whose numerator or denominator would need more bits has no result.
  static constexpr int kMaxBits = 4096;
  // Bits after the binary point of square_root() and rounded().
  static constexpr int kPrecision = 320;

  Rational(int64_t value = 0);  // NOLINT: whole numbers convert
  // The value of decimal digits times 10^exponent. Empty for anything but digits, for no digit, and when the value has
  // more than kMaxBits bits.
  static std::optional<Rational> from_digits(std::string_view digits, int64_t exponent);
  static Rational fraction(int64_t numerator, int64_t denominator);  // std::invalid_argument: the denominator is 0

  bool is_zero() const { return sign() == 0; }
  int sign() const;  // -1, 0 or 1
  bool is_whole() const;
  // The value as int64_t. Empty when it is not whole or does not fit.
  std::optional<int64_t> whole() const;
  Rational negated() const;
  Rational magnitude() const { return sign() < 0 ? negated() : *this; }

  std::optional<Rational> plus(const Rational& other) const;
  std::optional<Rational> minus(const Rational& other) const { return plus(other.negated()); }
  std::optional<Rational> times(const Rational& other) const;
  std::optional<Rational> over(const Rational& other) const;  // also empty when `other` is 0
  std::optional<Rational> to_the(int64_t exponent) const;     // also empty for 0 to a power below 0
  // The largest multiple of 2^-kPrecision that is not above the value.
  Rational rounded() const;
  // The root of a value that is not below 0: exact where it is rational, else rounded down to 2^-kPrecision. Empty for
  // a value below 0.
  struct Root;
  std::optional<Root> square_root() const;

  int compare(const Rational& other) const;  // below 0, 0 or above 0, like std::strcmp
  bool operator==(const Rational& other) const { return compare(other) == 0; }

 private:
  using Whole = std::shared_ptr<const bignum_st>;
  Rational(Whole numerator, Whole denominator)
      : numerator_(std::move(numerator)), denominator_(std::move(denominator)) {}
  static std::optional<Rational> reduced(const Whole& numerator, const Whole& denominator);

  Whole numerator_, denominator_;
};

struct Rational::Root {
  Rational value;
  bool exact = false;
};

}  // namespace terse::rl
