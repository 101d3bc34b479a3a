// Fractions are reduced by their greatest common divisor after every operation.
#include "rl/tasks/answers/rational.h"

#include <openssl/bn.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <string>

namespace terse::rl {

namespace {

using Number = std::shared_ptr<BIGNUM>;

// BIGNUM functions fail only when memory runs out, after the callers have ruled out a division by 0.
void require(bool ok) {
  if (!ok) throw std::bad_alloc();
}

Number number(uint64_t value = 0) {
  Number made(BN_new(), BN_free);
  require(made != nullptr && BN_set_word(made.get(), value) == 1);
  return made;
}

// Scratch memory of one operation.
class Context {
 public:
  Context() : context_(BN_CTX_new(), BN_CTX_free) { require(context_ != nullptr); }
  BN_CTX* get() const { return context_.get(); }

 private:
  std::unique_ptr<BN_CTX, void (*)(BN_CTX*)> context_;
};

Number product(const BIGNUM& a, const BIGNUM& b) {
  Number made = number();
  require(BN_mul(made.get(), &a, &b, Context().get()) == 1);
  return made;
}

// The quotient towards 0.
Number quotient(const BIGNUM& a, const BIGNUM& b) {
  Number made = number();
  require(BN_div(made.get(), nullptr, &a, &b, Context().get()) == 1);
  return made;
}

Number sum(const BIGNUM& a, const BIGNUM& b) {
  Number made = number();
  require(BN_add(made.get(), &a, &b) == 1);
  return made;
}

Number shifted(const BIGNUM& a, int bits) {
  Number made = number();
  require(BN_lshift(made.get(), &a, bits) == 1);
  return made;
}

// The quotient rounded down. `b` is above 0.
Number floor_quotient(const BIGNUM& a, const BIGNUM& b) {
  Number made = number(), rest = number();
  require(BN_div(made.get(), rest.get(), &a, &b, Context().get()) == 1);
  if (BN_is_negative(rest.get())) require(BN_sub_word(made.get(), 1) == 1);
  return made;
}

// The largest whole number whose square is not above `n`, by Newton's method from above. `n` is not negative.
Number whole_root(const BIGNUM& n) {
  if (BN_is_zero(&n)) return number(0);
  Number root = shifted(*number(1), (BN_num_bits(&n) + 1) / 2);
  for (;;) {
    Number next = sum(*root, *quotient(n, *root));
    require(BN_rshift1(next.get(), next.get()) == 1);
    if (BN_cmp(next.get(), root.get()) >= 0) return root;
    root = next;
  }
}

}  // namespace

Rational::Rational(int64_t value) {
  // The magnitude of INT64_MIN does not fit into int64_t.
  const Number made = number(value < 0 ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value));
  BN_set_negative(made.get(), value < 0 ? 1 : 0);
  numerator_ = made;
  denominator_ = number(1);
}

std::optional<Rational> Rational::from_digits(std::string_view digits, int64_t exponent) {
  // A digit needs more than 3 bits, so these values exceed kMaxBits; leading zeros count, too.
  if (digits.empty() || digits.size() > kMaxBits / 3 || exponent < -kMaxBits / 3 || exponent > kMaxBits / 3) return {};
  if (digits.find_first_not_of("0123456789") != std::string_view::npos) return {};
  BIGNUM* parsed = nullptr;
  require(BN_dec2bn(&parsed, std::string(digits).c_str()) > 0);
  const Number value(parsed, BN_free);
  const Number power = number();
  require(BN_exp(power.get(), number(10).get(), number(static_cast<uint64_t>(std::abs(exponent))).get(),
                 Context().get()) == 1);
  return exponent < 0 ? reduced(value, power) : reduced(product(*value, *power), number(1));
}

Rational Rational::fraction(int64_t numerator, int64_t denominator) {
  const auto made = Rational(numerator).over(denominator);
  if (!made) throw std::invalid_argument("a fraction with the denominator 0");
  return *made;
}

std::optional<Rational> Rational::reduced(const Whole& numerator, const Whole& denominator) {
  const Number divisor = number();
  require(BN_gcd(divisor.get(), numerator.get(), denominator.get(), Context().get()) == 1);
  Number top = quotient(*numerator, *divisor), bottom = quotient(*denominator, *divisor);
  if (BN_is_negative(bottom.get())) {
    BN_set_negative(top.get(), BN_is_negative(top.get()) ? 0 : 1);
    BN_set_negative(bottom.get(), 0);
  }
  if (std::max(BN_num_bits(top.get()), BN_num_bits(bottom.get())) > kMaxBits) return {};
  return Rational(std::move(top), std::move(bottom));
}

int Rational::sign() const {
  if (BN_is_zero(numerator_.get())) return 0;
  return BN_is_negative(numerator_.get()) ? -1 : 1;
}

bool Rational::is_whole() const {
  return BN_is_one(denominator_.get());
}

std::optional<int64_t> Rational::whole() const {
  if (!is_whole() || BN_num_bits(numerator_.get()) > 63) return {};
  const int64_t size = static_cast<int64_t>(BN_get_word(numerator_.get()));
  return sign() < 0 ? -size : size;
}

Rational Rational::negated() const {
  Number top(BN_dup(numerator_.get()), BN_free);
  require(top != nullptr);
  BN_set_negative(top.get(), sign() > 0 ? 1 : 0);
  return Rational(std::move(top), denominator_);
}

std::optional<Rational> Rational::plus(const Rational& other) const {
  const Number left = product(*numerator_, *other.denominator_), right = product(*other.numerator_, *denominator_);
  return reduced(sum(*left, *right), product(*denominator_, *other.denominator_));
}

std::optional<Rational> Rational::times(const Rational& other) const {
  return reduced(product(*numerator_, *other.numerator_), product(*denominator_, *other.denominator_));
}

std::optional<Rational> Rational::over(const Rational& other) const {
  if (other.is_zero()) return {};
  return reduced(product(*numerator_, *other.denominator_), product(*denominator_, *other.numerator_));
}

std::optional<Rational> Rational::to_the(int64_t exponent) const {
  if (exponent < 0 && is_zero()) return {};
  std::optional<Rational> power = Rational(1), square = *this;
  for (uint64_t left = exponent < 0 ? ~static_cast<uint64_t>(exponent) + 1 : static_cast<uint64_t>(exponent);
       left > 0;) {
    if (left % 2 == 1) power = power->times(*square);
    if (!power) return {};
    left /= 2;
    if (left > 0) square = square->times(*square);
    if (!square) return {};
  }
  return exponent < 0 ? Rational(1).over(*power) : power;
}

Rational Rational::rounded() const {
  const Number scaled = floor_quotient(*shifted(*numerator_, kPrecision), *denominator_);
  return reduced(scaled, shifted(*number(1), kPrecision)).value_or(*this);
}

std::optional<Rational::Root> Rational::square_root() const {
  if (sign() < 0) return {};
  const Number top = whole_root(*numerator_), bottom = whole_root(*denominator_);
  const bool exact = BN_cmp(product(*top, *top).get(), numerator_.get()) == 0 &&
                     BN_cmp(product(*bottom, *bottom).get(), denominator_.get()) == 0;
  if (exact) return Root{Rational(top, bottom), true};
  const Number root = whole_root(*quotient(*shifted(*numerator_, 2 * kPrecision), *denominator_));
  const auto value = reduced(root, shifted(*number(1), kPrecision));
  if (!value) return {};
  return Root{*value, false};
}

int Rational::compare(const Rational& other) const {
  return BN_cmp(product(*numerator_, *other.denominator_).get(), product(*other.numerator_, *denominator_).get());
}

}  // namespace terse::rl
