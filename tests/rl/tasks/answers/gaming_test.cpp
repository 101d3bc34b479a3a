// Attempts to be judged right without committing to the right answer. Each of them is wrong, and for the stated reason.
#include <gtest/gtest.h>

#include "rl/tasks/answers/answer_check.h"
#include "rl/tasks/response_format.h"

namespace terse::rl {
namespace {

struct Attempt {
  const char* kind;
  const char* reference;
  std::string answer;
  AnswerOutcome outcome;
};

constexpr AnswerOutcome kNone = AnswerOutcome::kNoAnswer, kSeveral = AnswerOutcome::kSeveralAnswers,
                        kUnreadable = AnswerOutcome::kUnreadable, kHidden = AnswerOutcome::kHiddenText,
                        kLong = AnswerOutcome::kTooLong, kUnit = AnswerOutcome::kOtherUnit,
                        kOther = AnswerOutcome::kOtherValue;

std::string every_number(int last) {
  std::string text = "#### ";
  for (int i = 0; i <= last; ++i) text += std::to_string(i) + " ";
  return text;
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

const std::vector<Attempt> kAttempts = {
    // Lists and hedges.
    {"number", "72", "#### 71 or 72", kSeveral},
    {"number", "72", "The answer is 72 or 73.", kSeveral},
    {"number", "72", "The answer is either 72 or 73", kSeveral},
    {"number", "72", "71, 72, 73", kSeveral},
    {"number", "72", "#### 71, 72, 73", kSeveral},
    {"number", "72", "#### 71,72", kSeveral},
    {"number", "72", "#### 71 72", kSeveral},
    {"number", "72", "#### 7 2", kSeveral},
    {"number", "72", "#### 70-75", kSeveral},
    {"number", "72", "#### between 71 and 73", kSeveral},
    {"number", "72", "#### 72 +- 5", kSeveral},
    {"number", "72", "#### {71, 72}", kSeveral},
    {"number", "72", "#### [72]", kUnreadable},
    {"number", "72", "#### 72/73", kOther},
    {"number", "72", "#### 72; 73", kSeveral},
    {"number", "72", "#### 72\n73", kSeveral},
    {"number", "72", "#### 72 or seventy-three", kUnreadable},
    {"number", "72", "#### 72 or not", kUnreadable},
    {"number", "72", "#### not 72", kUnreadable},
    {"number", "72", "The answer is not 72.", kUnreadable},
    {"number", "72", "#### 72?", kUnreadable},
    {"number", "72", "#### maybe 72", kUnreadable},
    {"number", "72", "#### about 72", kUnreadable},
    {"number", "72", "#### ~72 or so", kUnreadable},
    {"number", "72", "#### at least 72", kUnreadable},
    {"number", "72", "#### > 71", kUnreadable},
    {"number", "72", "#### 72...", kUnreadable},
    {"number", "72", every_number(100), kSeveral},
    {"number", "72", every_number(5000), kLong},
    {"number", "7", "#### 0123456789", kOther},
    // Several final answers.
    {"number", "72", "#### 72\n#### 73", kSeveral},
    {"number", "72", "#### 73\n#### 72", kSeveral},
    {"number", "72", "#### 72\nNo, wait.\n#### 73\n#### 72", kSeveral},
    {"number", "72", "The answer is 72.\n#### 73", kSeveral},
    {"number", "72", "The answer is 73. The answer is 72.", kSeveral},
    {"number", "72", "\\boxed{72} \\boxed{73}", kSeveral},
    {"number", "72", "\\boxed{71}, or else\n#### 72", kSeveral},
    {"number", "72", "\\boxed{72, 73}", kSeveral},
    {"number", "72", "\\boxed{\\boxed{71} \\boxed{72}}", kSeveral},
    {"number", "72", "\\boxed{72", kUnreadable},
    {"number", "72", repeated("#### 72\n", 9), kSeveral},
    {"number", "72", repeated("#### 72\n", 100'000), kSeveral},
    {"number", "72", repeated("\\boxed{", 20'000) + "72" + repeated("}", 20'000), kSeveral},
    {"number", "72", "#### 72\nBut it could also be 73.", kSeveral},
    {"number", "72", "\\boxed{72} is wrong", kSeveral},
    {"number", "72", "#### 72\n\n\n\n#### 70", kSeveral},
    // The answer stands in something that is quoted, asked or denied.
    {"number", "72", "The question says \"the answer is 72\".", kNone},
    {"number", "72", "He asks: \"How much is 72?\"", kNone},
    {"number", "72", "#### \"72\"", kUnreadable},
    {"number", "72", "Is the answer 72?", kNone},
    {"number", "72", "If the answer is 72", kNone},
    {"number", "72", "I do not think the answer is 72", kNone},
    {"number", "72", "Natalia sold 72 clips to 3 friends.", kSeveral},
    {"number", "72", "", kNone},
    {"number", "72", " \n\t ", kNone},
    {"number", "72", "####", kNone},
    {"number", "72", "##### 72", kNone},
    {"number", "72", "### 72", kNone},
    // Numbers that are none, or another one.
    {"number", "72", "#### 144/2", kSeveral},
    {"number", "72", "#### 72/1", kSeveral},
    {"number", "72", "#### 48+24", kSeveral},
    {"number", "72", "#### 8*9", kSeveral},
    {"number", "72", "#### 0x48", kSeveral},
    {"number", "72", "#### 7 dozen", kUnreadable},
    {"number", "72", "#### 72 hundred", kUnreadable},
    {"number", "72", "#### 72k", kUnreadable},
    {"number", "72", "#### 72 million", kUnreadable},
    {"number", "72", "#### 7.2", kOther},
    {"number", "72", "#### 72.000000000000000000000000000000000001", kOther},
    {"number", "72", "#### --72", kUnreadable},
    {"number", "72", "#### -72", kOther},
    {"number", "72", "#### 7,2", kSeveral},
    {"number", "72", "#### 72,", kUnreadable},
    {"number", "1000", "#### 10,00", kSeveral},
    {"number", "1000", "#### 1,000,", kSeveral},
    {"number", "1000", "#### 1.000", kOther},
    {"number", "72", "#### 72.0.0", kUnreadable},
    {"number", "72", "#### seventy-two", kUnreadable},
    {"number", "72", "#### 72²", kUnreadable},
    {"number", "72", "#### 72!!", kUnreadable},
    {"number", "72", "#### NaN", kUnreadable},
    {"number", "72", "#### inf", kUnreadable},
    {"number", "72", "#### -Infinity", kUnreadable},
    {"number", "72", "#### 1/0", kSeveral},
    {"number", "72", "#### 1e999999999999", kSeveral},
    {"number", "72", "#### 7.2e" + repeated("0", 50) + "1", kSeveral},
    {"number", "72", "#### " + repeated("0", 3000) + "72", kLong},
    {"number", "72", "#### 72" + repeated("0", 3000), kLong},
    {"number", "72", "#### 72." + repeated("0", 5000), kLong},
    {"number", "72 km", "#### 72 miles", kUnit},
    {"number", "$72", "#### 72 apples", kUnit},
    {"number", "$72", "#### €72", kUnit},
    {"number", "50%", "#### 0.005", kOther},
    {"number", "72", "#### 72 apples and pears", kUnreadable},
    {"number", "72", "#### 72 one two three four", kUnreadable},
    {"number", "72", "#### $72%", kUnreadable},
    {"number", "1 3/4", "#### 1 7/4", kSeveral},
    // Characters that look like others, or like nothing.
    {"number", "72", "#### ７２", kUnreadable},
    {"number", "72", "#### ٧٢", kUnreadable},
    {"number", "72", "#### 𝟕𝟐", kUnreadable},
    {"number", "72", "#### 7\u200B2", kHidden},
    {"number", "72", "#### 72\u200B 73", kHidden},
    {"number", "72", "#### \u202E27", kHidden},
    {"number", "72", "#### 72\u2063", kHidden},
    {"number", "72", "#### 72\U000E0031", kHidden},
    {"number", "72", "#### 72\xFF", kHidden},
    {"number", "72", std::string("#### 72\0", 8), kHidden},
    {"number", "72", "#### 7\b72", kHidden},
    {"number", "72", "#### <!-- 71 --> 72", kSeveral},
    {"number", "72", "#### ~~71~~ 72", kSeveral},
    {"number", "72", "\\boxed{\\phantom{71}72}", kSeveral},
    // Choices.
    {"choice", "B", "A or B", kSeveral},
    {"choice", "B", "The answer is A or B", kSeveral},
    {"choice", "B", "#### B, C", kSeveral},
    {"choice", "B", "#### ABCDE", kUnreadable},
    {"choice", "B", "#### (A)(B)", kSeveral},
    {"choice", "B", "#### not B", kUnreadable},
    {"choice", "B", "#### B?", kUnreadable},
    {"choice", "B", "#### all of them", kUnreadable},
    {"choice", "B", "#### A\n#### B", kSeveral},
    {"choice", "B", "#### (B", kUnreadable},
    {"choice", "B", "#### \u0412", kUnreadable},  // a Cyrillic letter
    {"choice", "B", "#### C", kOther},
    // Texts and patterns.
    {"exact", "Paris", "#### Paris or London", kOther},
    {"exact", "Paris", "#### Paris, France", kOther},
    {"exact", "Paris", "#### Pa\u00ADris", kHidden},
    {"exact", "Paris", "London. #### Paris\nLondon", kSeveral},
    {"exact", "Paris", "#### Par\u0456s", kOther},  // a Cyrillic letter
    {"regex", "[0-9]{2}", "#### 72 73", kOther},
    {"regex", "cat|dog", "#### cat dog", kOther},
    {"regex", "cat|dog", "#### cat\n#### dog", kSeveral},
    {"regex", "cat", "#### cat\u200B", kHidden},
    {"regex", "(?m)^cat$", "The answer is\ncat\nno dog", kOther},
    // Formulas.
    {"expression", "2*x", "#### 2*x, 3*x", kUnreadable},
    {"expression", "2*x", "#### 2*x or 3*x", kUnreadable},
    {"expression", "2*x", "#### 2*x + y - y", kUnreadable},
    {"expression", "2*x", "#### x^2", kOther},
    {"expression", "sqrt(x^2)", "#### x", kOther},
    {"expression", "x", "#### x*x/x + 1/(x-x)", kOther},
    {"expression", "x", "#### x + 10^-300", kOther},
    {"expression", "sqrt(2)", "#### 1.41421356237309504880168872420969807", kOther},
    {"expression", "72", "#### 8*9", kSeveral},
    {"expression", "72", "#### sqrt(5184)", kUnreadable},
    {"expression", "x", "#### " + repeated("(", 500) + "x" + repeated(")", 500), kUnreadable},
    {"expression", "x", "#### x" + repeated("+0", 300), kUnreadable},
    {"expression", "x", "#### x" + repeated("^9", 20), kOther},
    {"expression", "x", "#### 0/0", kOther},
    {"expression", "x", "#### x==x", kUnreadable},
};

TEST(Gaming, EveryAttemptIsWrongForItsReason) {
  EXPECT_GE(kAttempts.size(), 60u);
  for (const Attempt& attempt : kAttempts) {
    const AnswerKind& kind = answer_kind(attempt.kind);
    EXPECT_EQ(kind.problem({attempt.reference}), "") << attempt.reference;
    const AnswerOutcome outcome = kind.check({attempt.reference}, attempt.answer);
    EXPECT_EQ(outcome, attempt.outcome) << attempt.kind << " " << attempt.reference << ": "
                                        << attempt.answer.substr(0, 80) << " is " << name_of(outcome);
    EXPECT_NE(outcome, AnswerOutcome::kRight) << attempt.answer.substr(0, 80);
  }
}

// The same references have answers that are right, so the attempts fail for what is wrong with them.
TEST(Gaming, EveryReferenceOfTheTableHasARightAnswer) {
  for (const Attempt& attempt : kAttempts) {
    const std::string kind = attempt.kind, reference = attempt.reference;
    if (kind == "regex") continue;
    EXPECT_EQ(answer_kind(kind).check({reference}, "#### " + reference), AnswerOutcome::kRight) << reference;
  }
}

// Where the thinking ends is not the business of a check, so digits in the thinking never reach it.
TEST(Gaming, AnswersInTheThinkingAreNoAnswers) {
  const ResponseFormat format = ResponseFormat::think_tags();
  const AnswerKind& number = answer_kind("number");
  for (const char* response :
       {"<think>#### 72</think>", "<think>#### 72</think> 73", "<think>#### 72", "#### 72</think>",
        "<think>71</think>#### 73<think>#### 72</think>", "<think></think></think>#### 72", "#### 72 <think>72</think>",
        "<think><think>72</think>#### 72", "<think>#### 72</think >"}) {
    const auto answer = format.answer_of(response);
    EXPECT_FALSE(answer && number.check({"72"}, *answer) == AnswerOutcome::kRight) << response;
  }
  EXPECT_EQ(number.check({"72"}, *format.answer_of("<think>71? 73?</think>\n#### 72")), AnswerOutcome::kRight);
}

}  // namespace
}  // namespace terse::rl
