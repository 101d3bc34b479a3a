// The text is first brought into one spelling of signs and powers. Then a reader goes over it once.
#include "rl/tasks/answers/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <vector>

#include "rl/tasks/answers/final_answer.h"
#include "rl/tasks/answers/spelling.h"

namespace terse::rl {

namespace {

constexpr size_t kMaxDigits = 100;     // of one number
constexpr int64_t kMaxExponent = 400;  // of a power of ten, in magnitude
constexpr size_t kMaxUnitBytes = 40;
constexpr size_t kMaxUnitWords = 4;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Spellings that mean the same.
std::string in_one_spelling(std::string_view text) {
  constexpr Spelling kSpellings[] = {{"\u2212", "-"}, {"\\dfrac", "\\frac"}, {"\\tfrac", "\\frac"}, {"\\$", "$"},
                                     {"\\%", "%"},    {"{,}", ","},          {"\\times", " x "},    {"\\cdot", " x "},
                                     {"×", " x "},    {"\u00A0", " "},       {"\\,", " "},          {"\\ ", " "},
                                     {"~", " "}};
  return respelled(text, kSpellings);
}

// Units in one spelling: lower case, singular, currencies by name.
std::string normalised_unit(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"$", "dollar"}, {"us$", "dollar"}, {"usd", "dollar"}, {"€", "euro"},  {"eur", "euro"},
      {"£", "pound"},  {"gbp", "pound"},  {"¥", "yen"},      {"jpy", "yen"}, {"%", "percent"}};
  std::string unit = lower_case(text);
  if (unit.size() > 2 && unit.ends_with('s') && !unit.ends_with("ss")) unit.pop_back();
  for (const auto& [name, same] : kNames) {
    if (unit == name) return std::string(same);
  }
  return unit;
}

// Words that change a value, join two, or take an answer back. Whatever contains one of them is no unit.
bool is_denied(const std::string& word) {
  constexpr std::string_view kDenied[] = {
      "zero",     "one",       "two",      "three",    "four",       "five",      "six",      "seven",
      "eight",    "nine",      "ten",      "eleven",   "twelve",     "thirteen",  "fourteen", "fifteen",
      "sixteen",  "seventeen", "eighteen", "nineteen", "twenty",     "thirty",    "forty",    "fifty",
      "sixty",    "seventy",   "eighty",   "ninety",   "hundred",    "thousand",  "million",  "billion",
      "trillion", "k",         "bn",       "dozen",    "score",      "half",      "halves",   "third",
      "quarter",  "fourth",    "fifth",    "tenth",    "double",     "twice",     "minus",    "plus",
      "negative", "positive",  "over",     "divided",  "multiplied", "squared",   "cubed",    "root",
      "pi",       "x",         "e",        "mod",      "modulo",     "remainder", "r",        "or",
      "and",      "not",       "no",       "nor",      "but",        "either",    "neither",  "both",
      "maybe",    "perhaps",   "probably", "possibly", "likely",     "about",     "around",   "approximately",
      "approx",   "roughly",   "nearly",   "almost",   "circa",      "least",     "most",     "than",
      "between",  "through",   "to",       "until",    "from",       "without",   "except",   "is",
      "are",      "isn",       "aren",     "was",      "were",       "be",        "been",     "could",
      "may",      "might",     "should",   "would",    "can",        "cannot",    "if",       "unless",
      "else",     "otherwise", "instead",  "rather",   "wrong",      "incorrect", "false",    "true",
      "right",    "correct",   "unknown",  "nan",      "inf",        "infinity",  "infinite", "answer",
      "because",  "since",     "so",       "then",     "this",       "that",      "it",       "they",
      "also",     "too",       "wait",     "actually", "sorry",      "versus",    "vs"};
  return std::find(std::begin(kDenied), std::end(kDenied), word) != std::end(kDenied);
}

// Empty: the text is no unit.
std::optional<std::string> read_unit(std::string_view text) {
  if (text.size() > kMaxUnitBytes) return {};
  constexpr std::string_view kSigns[] = {"%", "€", "£", "¥", "$"};
  if (std::find(std::begin(kSigns), std::end(kSigns), text) != std::end(kSigns)) return normalised_unit(text);
  std::string letters, unit;
  size_t words = 0;
  const auto end_word = [&] {
    if (letters.empty()) return true;
    const std::string word = normalised_unit(letters);
    const bool is_allowed = !is_denied(word) && !is_denied(lower_case(letters));
    letters.clear();
    unit += (unit.empty() ? "" : " ") + word;
    return ++words <= kMaxUnitWords && is_allowed;
  };
  for (std::string_view rest = text; !rest.empty();) {
    // These characters are letters of units. Any other one that is not ASCII is none.
    constexpr std::string_view kLetters[] = {"²", "³", "°", "µ", "μ"};
    const auto found = std::find_if(std::begin(kLetters), std::end(kLetters),
                                    [&](std::string_view letter) { return rest.starts_with(letter); });
    const size_t length = found == std::end(kLetters) ? 1 : found->size();
    if (letters.empty() && found < std::begin(kLetters) + 2) return {};  // an exponent without a unit
    if (found != std::end(kLetters) || is_letter(rest[0])) {
      letters += rest.substr(0, length);
    } else {
      if ((rest[0] != ' ' && rest[0] != '/' && rest[0] != '-') || !end_word()) return {};
    }
    rest.remove_prefix(length);
  }
  if (!end_word() || unit.empty()) return {};
  return unit;
}

// Reads the parts of a number from the front of a text.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::string_view rest() const { return text_; }
  void skip_space() { text_.remove_prefix(std::min(text_.find_first_not_of(" \t\r\n"), text_.size())); }
  bool take(std::string_view start) {
    if (!text_.starts_with(start)) return false;
    text_.remove_prefix(start.size());
    return true;
  }
  // Digits, with commas in groups of three where there is any; empty: none, or commas elsewhere.
  std::string digits() {
    const size_t end = std::min(text_.find_first_not_of("0123456789,"), text_.size());
    const std::string_view run = text_.substr(0, end);
    if (run.find(',') == std::string_view::npos) {
      text_.remove_prefix(end);
      return std::string(run);
    }
    std::string joined;
    for (size_t group = 0, at = 0; at <= run.size(); ++group) {
      const size_t comma = std::min(run.find(',', at), run.size());
      const size_t length = comma - at;
      if (group == 0 ? length == 0 || length > 3 : length != 3) return "";
      joined += run.substr(at, length);
      at = comma + 1;
    }
    text_.remove_prefix(end);
    return joined;
  }
  // A whole number of few digits, with a sign; empty: none, or too large.
  std::optional<int64_t> exponent() {
    const bool braces = take("{");
    const bool negative = take("-");
    if (!negative) take("+");
    const size_t end = std::min(text_.find_first_not_of("0123456789"), text_.size());
    if (end == 0 || end > 4) return {};
    int64_t value = 0;
    for (const char c : text_.substr(0, end)) value = 10 * value + (c - '0');
    text_.remove_prefix(end);
    if (value > kMaxExponent || (braces && !take("}"))) return {};
    return negative ? -value : value;
  }

 private:
  std::string_view text_;
};

// "/4" or "}{4}" after a numerator; `latex`: the numerator was in \frac{. Empty: no fraction.
std::optional<Rational> read_fraction(Reader& reader, const std::string& numerator, bool latex) {
  if (latex) {
    if (!reader.take("}{")) return {};
  } else {
    reader.skip_space();
    if (!reader.take("/")) return {};
    reader.skip_space();
  }
  const std::string denominator = reader.digits();
  if (latex && !reader.take("}")) return {};
  if (denominator.size() > kMaxDigits) return {};
  const auto top = Rational::from_digits(numerator, 0), bottom = Rational::from_digits(denominator, 0);
  if (!top || !bottom) return {};
  const auto value = top->over(*bottom);
  if (!value || value->is_whole()) return {};
  return value;
}

// "\frac{3}{4}" after the sign, or after the whole part of a mixed number.
std::optional<Rational> read_latex_fraction(Reader& reader) {
  if (!reader.take("\\frac{")) return {};
  const std::string numerator = reader.digits();
  return numerator.size() > kMaxDigits ? std::nullopt : read_fraction(reader, numerator, true);
}

// The fraction of a mixed number: empty in the outer optional where none follows, in the inner one where it is wrong.
std::optional<std::optional<Rational>> read_mixed_part(Reader& reader) {
  Reader ahead = reader;
  ahead.skip_space();
  std::optional<Rational> part;
  if (ahead.rest().starts_with("\\frac{")) {
    part = read_latex_fraction(ahead);
  } else {
    if (ahead.rest().empty() || !is_digit(ahead.rest()[0]) || ahead.rest().size() == reader.rest().size()) return {};
    const std::string numerator = ahead.digits();
    if (numerator.empty() || numerator.size() > kMaxDigits) return std::optional<Rational>();
    part = read_fraction(ahead, numerator, false);
  }
  if (!part || part->compare(1) >= 0) return std::optional<Rational>();
  reader = ahead;
  return part;
}

// "e5", "E+5", " x 10^5", " * 10^{5}". 0 where none follows; empty: it cannot be read.
std::optional<int64_t> read_power_of_ten(Reader& reader) {
  if (reader.rest().size() > 1 && (reader.rest()[0] == 'e' || reader.rest()[0] == 'E')) {
    const char next = reader.rest()[1];
    if (is_digit(next) || next == '+' || next == '-') {
      reader.take(reader.rest().substr(0, 1));
      return reader.exponent();
    }
  }
  Reader ahead = reader;
  ahead.skip_space();
  if (!ahead.take("x") && !ahead.take("*")) return 0;
  ahead.skip_space();
  if (!ahead.take("10^")) return 0;
  reader = ahead;
  return reader.exponent();
}

// The value without its sign; empty: no number stands here.
std::optional<Rational> read_value(Reader& reader) {
  if (reader.rest().starts_with("\\frac{")) return read_latex_fraction(reader);
  const std::string whole = reader.digits();
  std::string fraction;
  const bool point = reader.take(".");
  if (point) {
    const size_t end = std::min(reader.rest().find_first_not_of("0123456789"), reader.rest().size());
    fraction = reader.rest().substr(0, end);
    reader.take(fraction);
  }
  if (whole.size() + fraction.size() > kMaxDigits || (whole.empty() && fraction.empty())) return {};
  if (!point) {
    Reader ahead = reader;
    ahead.skip_space();
    if (ahead.rest().starts_with('/') && ahead.rest().size() > 1) {
      if (const auto value = read_fraction(ahead, whole, false)) {
        reader = ahead;
        return value;
      }
      return {};
    }
    if (const auto part = read_mixed_part(reader)) return *part ? Rational::from_digits(whole, 0)->plus(**part) : *part;
  }
  const auto power = read_power_of_ten(reader);
  if (!power) return {};
  return Rational::from_digits(whole + fraction, *power - std::ssize(fraction));
}

// Counts the separate numbers in a text.
int64_t count_numbers(std::string_view text) {
  int64_t count = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (is_digit(text[i]) && (i == 0 || (!is_digit(text[i - 1]) && text[i - 1] != '.'))) ++count;
  }
  return count;
}

std::optional<Number> parse(std::string_view spelling) {
  Reader reader(spelling);
  const bool first_sign = reader.take("-");
  if (!first_sign) reader.take("+");
  Number number;
  for (const std::string_view currency : {"US$", "$", "€", "£", "¥"}) {
    if (!reader.take(currency)) continue;
    number.unit = normalised_unit(currency);
    break;
  }
  const bool second_sign = !number.unit.empty() && !first_sign && reader.take("-");
  if (!number.unit.empty()) reader.skip_space();
  const auto value = read_value(reader);
  if (!value) return {};
  number.value = first_sign || second_sign ? value->negated() : *value;
  const std::string_view rest = trimmed(reader.rest());
  if (rest.empty()) return number;
  const auto unit = read_unit(undecorated(rest));
  if (!unit || (!number.unit.empty() && *unit == "percent")) return {};
  if (number.unit.empty()) number.unit = *unit;
  return number;
}

AnswerOutcome compare(const Number& reference, const Number& answer) {
  const auto exact = [](const Number& number) {
    return number.unit == "percent" ? number.value.over(100) : std::optional(number.value);
  };
  const bool percent = reference.unit == "percent" || answer.unit == "percent";
  const bool same_unit = reference.unit.empty() || answer.unit.empty() || reference.unit == answer.unit;
  if (!same_unit) return AnswerOutcome::kOtherUnit;
  if (reference.value == answer.value) return AnswerOutcome::kRight;
  const auto left = exact(reference), right = exact(answer);
  return percent && left && right && *left == *right ? AnswerOutcome::kRight : AnswerOutcome::kOtherValue;
}

}  // namespace

ReadNumber read_number(std::string_view text) {
  const std::string spelling = in_one_spelling(text);
  if (const auto number = parse(spelling)) return {.value = *number};
  size_t longest = 0, run = 0;
  for (const char c : spelling) longest = std::max(longest, run = is_digit(c) ? run + 1 : 0);
  if (longest > kMaxDigits) return {.problem = AnswerOutcome::kTooLong};
  return {.problem = count_numbers(spelling) > 1 ? AnswerOutcome::kSeveralAnswers : AnswerOutcome::kUnreadable};
}

std::string problem_of_number(const AnswerReference& reference) {
  if (read_number(undecorated(reference.answer)).problem == AnswerOutcome::kRight) return "";
  return fmt::format("'{}' is no number", reference.answer);
}

AnswerOutcome check_number(const AnswerReference& reference, std::string_view answer) {
  const ReadNumber expected = read_number(undecorated(reference.answer));
  if (expected.problem != AnswerOutcome::kRight) return AnswerOutcome::kUndecided;
  return judge_answers(answer, expected.value, read_number, compare);
}

}  // namespace terse::rl
