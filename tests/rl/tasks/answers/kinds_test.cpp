// Tests what each kind of answer accepts, and which references it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "rl/tasks/answers/answer_check.h"

namespace terse::rl {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr AnswerOutcome kRight = AnswerOutcome::kRight;

TEST(AnswerKinds, AreFoundByName) {
  for (const char* name : {"number", "choice", "exact", "regex", "expression"}) EXPECT_EQ(answer_kind(name).name, name);
  EXPECT_THAT([] { answer_kind("nubmer"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("number, choice, exact, regex, expression")));
}

TEST(ChoiceAnswer, AcceptsTheLetterTheTextOrBoth) {
  const AnswerReference reference{"B", {"London", "Paris", "A town in Texas"}};
  for (const char* answer : {"B", "b", "(B)", "[B]", "B.", "B)", "B: Paris", "(B) Paris", "B. paris", "Paris", "#### B",
                             "The answer is (B).", "The answer is **B**.", "\\boxed{\\text{B}}", "option B",
                             "Answer: B) Paris", "It is not London. The answer is B."})
    EXPECT_EQ(answer_kind("choice").check(reference, answer), kRight) << answer;
  for (const char* answer : {"A", "C", "London", "B: London", "A) Paris", "B Paris or London", "D", "(B", "B)A", "BB",
                             "B C", "Paris, London", "P", "Pariss", "A town in Paris"})
    EXPECT_NE(answer_kind("choice").check(reference, answer), kRight) << answer;
  EXPECT_EQ(answer_kind("choice").check({"paris", reference.options}, "B"), kRight);
  EXPECT_EQ(answer_kind("choice").check({"D"}, "(D)"), kRight);
  EXPECT_NE(answer_kind("choice").check({"D"}, "D: any text"), kRight) << "the text is not known";
}

TEST(ChoiceAnswer, RefusesReferencesThatCannotDecide) {
  const auto problem = answer_kind("choice").problem;
  EXPECT_EQ(problem({"B", {"x", "y"}}), "");
  EXPECT_THAT(problem({"B", {"x"}}), HasSubstr("1 options"));
  EXPECT_THAT(problem({"C", {"x", "y"}}), HasSubstr("'C' is no option"));
  EXPECT_THAT(problem({"A", {"x", "X"}}), HasSubstr("options A and B are the same text"));
  EXPECT_THAT(problem({"A", {"x", " "}}), HasSubstr("option B is empty"));
  EXPECT_THAT(problem({"A", {"b", "c"}}), HasSubstr("letter of another option"));
  EXPECT_THAT(problem({"A", std::vector<std::string>(27, "x")}), HasSubstr("27 options"));
  EXPECT_NE(problem({""}), "");
}

TEST(ExactAnswer, IgnoresCaseSpaceAndDecoration) {
  const auto check = answer_kind("exact").check;
  for (const char* answer : {"new york", "New  York.", "#### NEW\tYORK", "The answer is **New York**.",
                             "\\boxed{\\text{New York}}", "`New York`"})
    EXPECT_EQ(check({"New York"}, answer), kRight) << answer;
  for (const char* answer : {"NewYork", "New-York", "York", "New York City", "\"New York\"", "New York?"})
    EXPECT_EQ(check({"New York"}, answer), AnswerOutcome::kOtherValue) << answer;
  EXPECT_EQ(check({"3,4"}, "3,4"), kRight) << "where the reference is a list, so is the answer";
  EXPECT_NE(answer_kind("exact").problem({" . "}), "");
  EXPECT_NE(answer_kind("exact").problem({"a\u200B"}), "");
}

TEST(RegexAnswer, MatchesTheWholeAnswer) {
  const auto check = answer_kind("regex").check;
  EXPECT_EQ(check({"[a-c]+|x"}, "The answer is abc."), kRight);
  EXPECT_EQ(check({"(?i)yes"}, "#### YES"), kRight);
  EXPECT_EQ(check({"\\p{Lu}.*"}, "Über"), kRight);
  for (const char* answer : {"abcd", "xabc", "abc x", "abc\nx"})
    EXPECT_EQ(check({"[a-c]+|x"}, answer), AnswerOutcome::kOtherValue) << answer;
}

TEST(RegexAnswer, AMatchWithoutEndIsUndecided) {
  const auto check = answer_kind("regex").check;
  EXPECT_EQ(check({"(a+)+[bc]"}, std::string(40, 'a')), AnswerOutcome::kUndecided);
  EXPECT_EQ(check({"(a|aa)*[bc]"}, std::string(4000, 'a')), AnswerOutcome::kUndecided);
}

TEST(RegexAnswer, RefusesPatternsThatCannotBeUsed) {
  const auto problem = answer_kind("regex").problem;
  EXPECT_EQ(problem({"[0-9]+"}), "");
  EXPECT_THAT(problem({"[0-9"}), HasSubstr("from byte 4 on"));
  EXPECT_THAT(problem({".*"}), HasSubstr("matches an empty answer"));
  EXPECT_NE(problem({"\\C"}), "") << "a single byte of a character";
  EXPECT_NE(problem({std::string(100, '(') + "a" + std::string(100, ')')}), "");
  EXPECT_THAT(problem({std::string(5000, 'a')}), HasSubstr("5000 bytes"));
  EXPECT_NE(problem({"\xFF"}), "");
  EXPECT_EQ(answer_kind("regex").check({"[0-9"}, "#### 5"), AnswerOutcome::kUndecided);
}

TEST(ExpressionAnswer, EqualFormulasAreRight) {
  const std::pair<const char*, const char*> kEqual[] = {{"2*x", "x+x"},
                                                        {"2*x", "2x"},
                                                        {"2*x", "y = 2x"},
                                                        {"y = 2*x", "2x"},
                                                        {"(x+1)^2", "x^2 + 2x + 1"},
                                                        {"(x+1)**2", "x*x+2*x+1"},
                                                        {"x^2-y^2", "(x-y)(x+y)"},
                                                        {"xy", "y*x"},
                                                        {"1/x + 1/y", "\\frac{x+y}{xy}"},
                                                        {"x/2", "\\frac12 x"},
                                                        {"2*sqrt(3)", "\\sqrt{12}"},
                                                        {"2*sqrt(3)", "\\frac{6}{\\sqrt{3}}"},
                                                        {"sqrt(2)/2", "1/sqrt(2)"},
                                                        {"sqrt(3)+sqrt(2)", "1/(sqrt(3)-sqrt(2))"},
                                                        {"pi*r^2", "\\pi \\cdot r^{2}"},
                                                        {"4*pi", "4\u03C0"},
                                                        {"x^-1", "1/x"},
                                                        {"x^(1/2)", "sqrt(x)"},
                                                        {"2^x*2", "2^(x+1)"},
                                                        {"-x^2", "-(x^2)"},
                                                        {"2^3^2*x", "512x"},
                                                        {"x-(-1)", "x+1"},
                                                        {"a/b/c", "a/(b*c)"},
                                                        {"\\left(x+1\\right)\\times 2", "2x+2"},
                                                        {"0.1x+0.2x", "0.3x"}};
  for (const auto& [reference, answer] : kEqual) {
    EXPECT_EQ(answer_kind("expression").problem({reference}), "") << reference;
    const AnswerOutcome outcome =
        answer_kind("expression").check({reference}, std::string("The answer is $") + answer + "$.");
    EXPECT_EQ(outcome, kRight) << reference << " and " << answer << ": " << name_of(outcome);
  }
}

TEST(ExpressionAnswer, OtherFormulasAreWrong) {
  const std::pair<const char*, const char*> kOther[] = {{"2*x", "2*x+0.000000000000000000000001"},
                                                        {"x^2", "2^x"},
                                                        {"x^2", "x^4/x^2 + 1/(x-x)"},
                                                        {"(x+1)^2", "x^2+1"},
                                                        {"sqrt(x)", "sqrt(-x)"},
                                                        {"sqrt(x^2)", "x"},
                                                        {"pi", "22/7"},
                                                        {"pi", "3.14159265358979323846264338327950288"},
                                                        {"x/y", "y/x"},
                                                        {"xy", "yx^2"},
                                                        {"x", "X"},
                                                        {"-x^2", "(-x)^2"},
                                                        {"1/(x+1)", "1/x+1"},
                                                        {"2*x", "2 x 3"},
                                                        {"2*x", "import os"},
                                                        {"2*x", "\\input{x}"},
                                                        {"2*x", ""},
                                                        {"2*x", "()"},
                                                        {"2*x", "2*x)"},
                                                        {"2*x", "(2*x"},
                                                        {"2*x", "{2*x)"},
                                                        {"2*x", "2**"},
                                                        {"2*x", "\\sqrt[3]{x}"},
                                                        {"2*x", "2*x=2*x"}};
  for (const auto& [reference, answer] : kOther) {
    EXPECT_NE(answer_kind("expression").check({reference}, std::string("#### ") + answer), kRight)
        << reference << " and " << answer;
  }
}

TEST(ExpressionAnswer, RefusesReferencesWithoutAValue) {
  const auto problem = answer_kind("expression").problem;
  EXPECT_EQ(problem({"3/4"}), "");
  EXPECT_THAT(problem({"x +"}), HasSubstr("is no formula"));
  EXPECT_THAT(problem({"sqrt(0-x^2)"}), HasSubstr("no value"));
  EXPECT_THAT(problem({"1/(x-x)"}), HasSubstr("no value"));
  EXPECT_THAT(problem({"9^9^9^9"}), HasSubstr("no value"));
}

TEST(ExpressionAnswer, HostileFormulasEndSoon) {
  const auto check = answer_kind("expression").check;
  std::string tower = "x", sum = "x";
  for (int i = 0; i < 60; ++i) tower = "(" + tower + ")^9", sum += "*(x+1/3)^7";
  for (const std::string& formula : {tower, sum, std::string(900, '-') + "x", std::string(900, '(')})
    EXPECT_NE(check({"x"}, "#### " + formula), kRight) << formula.substr(0, 40);
}

}  // namespace
}  // namespace terse::rl
