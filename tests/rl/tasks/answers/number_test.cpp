// Tests which spellings of a number are accepted. gaming_test.cpp has those that are not.
#include "rl/tasks/answers/number.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/jsonl.h"

namespace terse::rl {
namespace {

AnswerOutcome check(const std::string& reference, const std::string& answer) {
  return check_number({reference}, answer);
}

TEST(NumberAnswer, AcceptsTheFormsOfAFinalAnswer) {
  for (const char* answer : {"72",
                             " 72\n",
                             "72.",
                             "#### 72",
                             "####72",
                             "We add 48 and 24.\n#### 72\n",
                             "The answer is 72.",
                             "The answer is $72.",
                             "the answer is: 72",
                             "So the final answer is 72",
                             "Therefore, the answer is **72**.",
                             "Hence the answer is $72$.",
                             "Answer: 72",
                             "**Answer:** 72",
                             "**Answer: 72**",
                             "**Final Answer**: 72",
                             "**Final Answer**\n\n72",
                             "### Final Answer\n\\[\n\\boxed{72}\n\\]",
                             "\\boxed{72}",
                             "$\\boxed{72}$.",
                             "Thus, the answer is \\(\\boxed{72}\\).",
                             "We get 48 + 24 = 72. The answer is 72.",
                             "48 or 24? The answer is 72.",
                             "The answer is 72.\n#### 72",
                             "#### \\boxed{72}",
                             "#### The answer is 72",
                             "The answer to the question is 72.",
                             "My answer = 72",
                             "The answer is therefore 72.",
                             "*72*",
                             "`72`",
                             "#### 72 apples",
                             "#### 72 %",
                             "The answer is \\boxed{72 \\text{ apples}}.",
                             "Answer:\n\n72",
                             "The answer is $\\text{72}$"})
    EXPECT_EQ(check("72", answer), AnswerOutcome::kRight) << answer << ": " << name_of(check("72", answer));
}

TEST(NumberAnswer, EqualValuesAreRightInAnySpelling) {
  const std::pair<const char*, const char*> kEqual[] = {
      {"72", "72.0"},
      {"72", "+72"},
      {"72", "072"},
      {"72", "7.2e1"},
      {"72", "7.2 x 10^1"},
      {"72", "720E-1"},
      {"72", "7.2 \\times 10^{1}"},
      {"72", "$72"},
      {"72", "72 USD"},
      {"72", "$ 72.00"},
      {"1000", "1,000"},
      {"1000000", "1,000,000.00"},
      {"1,000", "1000"},
      {"1000", "1{,}000"},
      {"-5", "-5.0"},
      {"-5", "\u22125"},
      {"-5", "-$5"},
      {"-5", "$-5"},
      {"0.5", ".50"},
      {"0", "-0"},
      {"3/4", "0.75"},
      {"0.75", "3/4"},
      {"3/4", "6/8"},
      {"3/4", "\\frac{3}{4}"},
      {"-3/4", "-\\dfrac{3}{4}"},
      {"1.75", "1 3/4"},
      {"1 3/4", "7/4"},
      {"-1.75", "-1 3/4"},
      {"1 3/4", "1\\frac{3}{4}"},
      {"0.5", "50%"},
      {"50", "50%"},
      {"50%", "0.5"},
      {"50%", "50 percent"},
      {"50%", "50"},
      {"50%", "50\\%"},
      {"1/3", "2/6"},
      {"72 km", "72 km"},
      {"72 km", "72"},
      {"72", "72 km/h"},
      {"72 apples", "72 apple"},
      {"$72", "72 dollars"},
      {"72 m²", "72 m²"},
      {"72", "72 miles per hour"},
      {"72", "72 square-feet"},
      {"$3.50", "3.5"},
      {"12345678901234567890123456789", "12,345,678,901,234,567,890,123,456,789.0"}};
  for (const auto& [reference, answer] : kEqual) {
    EXPECT_EQ(problem_of_number({reference}), "");
    EXPECT_EQ(check(reference, answer), AnswerOutcome::kRight)
        << reference << " and " << answer << ": " << name_of(check(reference, answer));
  }
}

TEST(NumberAnswer, NoRoundingMakesTwoNumbersEqual) {
  EXPECT_EQ(check("1/3", "0.3333333333333333333333333333333333333333333333"), AnswerOutcome::kOtherValue);
  EXPECT_EQ(check("0.1", "0.1000000000000000055511151231257827"), AnswerOutcome::kOtherValue);
  EXPECT_EQ(check("9007199254740993", "9007199254740992"), AnswerOutcome::kOtherValue);
  EXPECT_EQ(check("1e400", "1e399"), AnswerOutcome::kOtherValue);
  EXPECT_EQ(check("1e-400", "0"), AnswerOutcome::kOtherValue);
}

TEST(NumberAnswer, AReferenceThatIsNoNumberDecidesNothing) {
  for (const char* reference : {"", "seventy", "1 or 2", "1/0", "\xFF", "144/2"}) {
    EXPECT_NE(problem_of_number({reference}), "") << reference;
    EXPECT_EQ(check(reference, "#### 1"), AnswerOutcome::kUndecided) << reference;
    EXPECT_EQ(check(reference, reference), AnswerOutcome::kUndecided) << reference;
  }
}

// Ways in which a reference answer is slightly off.
std::vector<std::string> perturbed(const std::string& number) {
  std::string digit = number;
  char& last = digit[digit.find_last_of("0123456789")];
  last = last == '9' ? '1' : static_cast<char>(last + 1);
  const std::string plain = number.starts_with('-') ? number.substr(1) : number;
  std::vector<std::string> others = {digit, number + "1", number + ".5", "1" + plain};
  if (number == "0") return others;
  others.insert(others.end(), {number + "0", number + "e1", number.starts_with('-') ? plain : "-" + number});
  return others;
}

// TERSE_GSM8K=FILE judges the references of the published set, and otherwise those of the sample.
TEST(NumberAnswer, ReferencesOfGsm8kAreRightAndPerturbedOnesWrong) {
  const char* given = std::getenv("TERSE_GSM8K");
  int64_t references = 0, right = 0, perturbations = 0, wrong = 0;
  const std::string forms[] = {"#### {}",
                               "The answer is ${}.",
                               "So the final answer is: **{}**",
                               "\\boxed{{}}",
                               "{}",
                               "It is a sum of 3 and 4.\nAnswer: {} apples"};
  for (JsonlReader reader(given != nullptr ? given : TERSE_SOURCE_DIR "/tests/rl/tasks/samples/gsm8k.jsonl");
       reader.next();) {
    const std::string solution = reader.object().at("answer");
    const std::string reference = solution.substr(solution.rfind("#### ") + 5);
    for (const std::string& form : forms) {
      const auto written = [&](const std::string& number) {
        std::string text = form;
        return text.replace(text.find("{}"), 2, number);
      };
      ++references;
      right += check(reference, written(reference)) == AnswerOutcome::kRight ? 1 : 0;
      for (const std::string& number : perturbed(reference)) {
        ++perturbations;
        const AnswerOutcome outcome = check(reference, written(number));
        wrong += outcome != AnswerOutcome::kRight && outcome != AnswerOutcome::kUndecided ? 1 : 0;
        EXPECT_NE(outcome, AnswerOutcome::kRight) << written(number) << " for " << reference;
      }
    }
  }
  EXPECT_GE(references, 600);
  EXPECT_EQ(right, references);
  EXPECT_EQ(wrong, perturbations);
  std::printf("%ld spellings of references right, %ld perturbed ones wrong\n", right, wrong);
}

}  // namespace
}  // namespace terse::rl
