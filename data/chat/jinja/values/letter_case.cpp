// The C library has the simple case mappings of Unicode in its locale C.UTF-8, which is part of glibc since 2.35.
// Python uses the full mappings, so the letters for which the two differ (SpecialCasing.txt of Unicode) are refused.
#include "data/chat/jinja/values/letter_case.h"

#include <fmt/format.h>
#include <locale.h>
#include <wctype.h>

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "data/chat/jinja/values/python_text.h"

namespace terse::data::jinja {

namespace {

struct LetterRange {
  char32_t first;
  char32_t last;
};

// Letters with several characters as upper case, and the digraphs whose title case is a third letter.
constexpr std::array<LetterRange, 12> kSpecialUpper = {{{0xDF, 0xDF},
                                                        {0x149, 0x149},
                                                        {0x1C4, 0x1CC},
                                                        {0x1F0, 0x1F3},
                                                        {0x345, 0x345},
                                                        {0x390, 0x390},
                                                        {0x3B0, 0x3B0},
                                                        {0x587, 0x587},
                                                        {0x10D0, 0x10FF},
                                                        {0x1E96, 0x1E9A},
                                                        {0x1F50, 0x1FFC},
                                                        {0xFB00, 0xFB17}}};
// A dotted capital I has two characters as lower case, and a capital sigma has two lower cases.
constexpr std::array<LetterRange, 2> kSpecialLower = {{{0x130, 0x130}, {0x3A3, 0x3A3}}};

class UnicodeLocale {
 public:
  UnicodeLocale() : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {}
  ~UnicodeLocale() {
    if (locale_ != nullptr) freelocale(locale_);
  }
  UnicodeLocale(const UnicodeLocale&) = delete;
  UnicodeLocale& operator=(const UnicodeLocale&) = delete;

  locale_t get() const { return locale_; }

 private:
  locale_t locale_;
};

template <size_t kSize>
bool has_letter(const std::array<LetterRange, kSize>& ranges, char32_t letter) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const LetterRange& range) { return range.first <= letter && letter <= range.last; });
}

char32_t changed(Context& context, char32_t letter, bool to_upper) {
  if (letter < 0x80) {
    const bool changes = to_upper ? letter >= 'a' && letter <= 'z' : letter >= 'A' && letter <= 'Z';
    return changes ? letter ^ 0x20 : letter;
  }
  static const UnicodeLocale locale;
  const bool is_special = to_upper ? has_letter(kSpecialUpper, letter) : has_letter(kSpecialLower, letter);
  if (is_special || locale.get() == nullptr) {
    context.refuse(fmt::format("changing the case of {}", describe_character(letter)));
  }
  const auto wide = static_cast<wint_t>(letter);
  return static_cast<char32_t>(to_upper ? towupper_l(wide, locale.get()) : towlower_l(wide, locale.get()));
}

// Returns whether the letter after this character is the first of a word.
bool starts_word(char32_t before, bool is_filter) {
  if (is_filter)
    return is_white_space(before) || (before < 0x80 && std::string_view("-({[<").find(static_cast<char>(before)) < 5);
  return !((before >= 'a' && before <= 'z') || (before >= 'A' && before <= 'Z'));
}

}  // namespace

Text with_case(Context& context, const Text& text, Case wanted, bool is_filter) {
  context.spend(4 * text.size());
  Text result;
  char32_t before = ' ';
  for_each_character(text, [&](char32_t letter, size_t begin, size_t) {
    if (wanted == Case::kTitle && !is_filter && letter >= 0x80) context.refuse("title() of text that is not ASCII");
    const bool first = begin == 0 || (wanted == Case::kTitle && starts_word(before, is_filter));
    std::string bytes;
    append_utf8(bytes, changed(context, letter, wanted == Case::kUpper || (wanted != Case::kLower && first)));
    result.append(bytes, text.origin_at(begin));
    before = letter;
  });
  if (text.is_markup() && wanted != Case::kTitle) result.set_markup();
  return result;
}

}  // namespace terse::data::jinja
