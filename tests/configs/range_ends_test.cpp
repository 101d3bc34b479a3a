// Tests the ends of every range: an allowed end is accepted, and a value just outside is refused by name. Every double
// must also be valid in fp32.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "configs/fields.h"
#include "configs/fields/field_text.h"
#include "configs/yaml/read_value.h"
#include "tests/configs/test_files.h"

namespace terse::configs {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kSmallest = std::numeric_limits<float>::min(), kLargest = std::numeric_limits<float>::max();

// Returns the message about a valid config in which only `key` is changed, or "" when there is none.
std::string complaint(const std::string& key, const std::string& value) {
  try {
    loosely_loaded(kValid, {key + "=" + value});
  } catch (const ConfigError& error) {
    const std::string text = error.what();
    return text.find(key) == std::string::npos ? "another option: " + text : text;
  }
  return "";
}

template <class T>
std::vector<Field> fields_of() {
  static RunConfig config = toy_defaults();
  std::vector<Field> found;
  for (const Field& field : list_fields(config).fields)
    if (std::holds_alternative<T*>(field.value)) found.push_back(field);
  return found;
}

// A rule between options may refuse the end of a range beside the defaults. The range itself must accept it.
void expect_allowed(const Field& field, const std::string& value) {
  EXPECT_THAT(complaint(field.path, value),
              AllOf(Not(HasSubstr("out of range")), Not(HasSubstr("fp32")), Not(HasSubstr("expected"))))
      << field.path << "=" << value;
}
void expect_refused(const Field& field, const std::string& value) {
  EXPECT_THAT(complaint(field.path, value), HasSubstr(field.path + ": ")) << field.path << "=" << value;
}

TEST(RangeEnds, OfWholeNumbersAreAllowedAndWhatLiesBeyondIsNot) {
  const auto fields = fields_of<int64_t>();
  ASSERT_GT(fields.size(), 40u);
  for (const Field& field : fields) {
    ASSERT_TRUE(std::isfinite(field.rule.min)) << field.path;
    ASSERT_FALSE(field.rule.min_excluded || field.rule.max_excluded) << field.path;
    const auto low = static_cast<int64_t>(field.rule.min);
    expect_allowed(field, std::to_string(low));
    expect_refused(field, std::to_string(low - 1));
    if (std::isfinite(field.rule.max)) {
      const auto high = static_cast<int64_t>(field.rule.max);
      expect_allowed(field, std::to_string(high));
      expect_refused(field, std::to_string(high + 1));
    } else {
      expect_allowed(field, std::to_string(std::numeric_limits<int64_t>::max()));
    }
  }
}

TEST(RangeEnds, OfOtherNumbersAreAllowedAndWhatLiesBeyondIsNot) {
  const auto fields = fields_of<double>();
  ASSERT_GT(fields.size(), 30u);
  for (const Field& field : fields) {
    const Rule& rule = field.rule;
    ASSERT_EQ(rule.min, 0) << field.path << ": the ends below are of ranges that begin at 0";
    if (rule.min_excluded) {
      expect_refused(field, "0");
      expect_allowed(field, fmt::format("{}", kSmallest));
    } else {
      expect_allowed(field, "0");
    }
    expect_refused(field, fmt::format("{}", -kSmallest));
    if (!std::isfinite(rule.max)) {
      expect_allowed(field, fmt::format("{}", kLargest));
    } else if (rule.max_excluded) {
      expect_refused(field, fmt::format("{}", rule.max));
      expect_allowed(field, fmt::format("{}", std::nextafter(static_cast<float>(rule.max), 0.0f)));
    } else {
      expect_allowed(field, fmt::format("{}", rule.max));
      expect_refused(field, fmt::format("{}", std::nextafter(rule.max, kInfinity)));
    }
  }
}

TEST(Fp32, NoNumberBecomesZeroInfiniteOrTheExcludedEndOnTheWay) {
  for (const Field& field : fields_of<double>()) {
    for (const char* vanishing : {"1e-300", "1e-46", "1e-40"}) expect_refused(field, vanishing);
    expect_refused(field, "1e39");
    if (field.rule.max_excluded) expect_refused(field, fmt::format("{}", field.rule.max - 1e-12));
  }
  EXPECT_THAT(complaint("rl.optimizer.eps", "1e-46"), HasSubstr("1e-46 is too close to 0 for fp32"));
  EXPECT_THAT(complaint("model.rope_theta", "1e39"), HasSubstr("1e+39 is too large for fp32"));
  EXPECT_THAT(complaint("sft.optimizer.beta2", "0.999999999"),
              HasSubstr("0.999999999 is 1 in fp32, in which numbers are used: expected from 0 to below 1"));
}

TEST(Fp32, NumbersOfAMapObeyTheSame) {
  EXPECT_THAT(complaint("task.forms.states", "1e-46"), HasSubstr("too close to 0 for fp32"));
  EXPECT_THAT(complaint("task.forms.states", "1e300"), HasSubstr("too large for fp32"));
}

TEST(Fp32, NanAndInfinityAreRefusedInFilesAndInConfigsMadeInCode) {
  for (const Field& field : fields_of<double>())
    for (const char* word : {"nan", ".nan", "inf", "-inf", "1e999"}) expect_refused(field, word);
  for (const double value : {std::nan(""), kInfinity, -kInfinity, 1e-46}) {
    RunConfig config = accepted(kValid);
    for (const Field& field : list_fields(config).fields) {
      auto* const* target = std::get_if<double*>(&field.value);
      if (target == nullptr) continue;
      const double before = std::exchange(**target, value);
      EXPECT_THAT(check(config), ::testing::Contains(HasSubstr(field.path + ": "))) << value;
      **target = before;
    }
    EXPECT_THAT(check(config), IsEmpty());
  }
}

TEST(CommandLineNumbers, AreReadAsStrictlyAsThoseOfAFile) {
  int64_t whole = 5;
  for (const char* wrong : {"0x10", "9223372036854775808", "28446744073709551617", "1e3", "1.0", "+3", "007", "",
                            "1_000", " 3", "3 ", "three", "-1", "11"})
    EXPECT_NE(read_number(wrong, between(0, 10), whole), "") << wrong;
  EXPECT_EQ(whole, 5) << "what is wrong changes nothing";
  EXPECT_EQ(read_number("10", between(0, 10), whole), "");
  EXPECT_EQ(whole, 10);
  EXPECT_EQ(read_number("9223372036854775807", at_least(0), whole), "");
  EXPECT_EQ(whole, std::numeric_limits<int64_t>::max());
  double number = 5;
  for (const char* wrong : {"nan", "inf", "-inf", "0x1p3", "1e999", "-0.5", "1.0000001", "", "1,5"})
    EXPECT_NE(read_number(wrong, between(0, 1), number), "") << wrong;
  EXPECT_EQ(number, 5);
  EXPECT_NE(read_number("1e-300", between(0, 1), number), "") << "numbers are used in fp32";
  EXPECT_EQ(read_number("1e-30", between(0, 1), number), "");
  EXPECT_EQ(number, 1e-30);
}

}  // namespace
}  // namespace terse::configs
