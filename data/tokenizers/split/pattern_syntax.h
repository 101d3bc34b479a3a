// Translates the regular expressions of tokenizer files into PCRE2's syntax.
//
// The `tokenizers` library matches with Oniguruma. Its doc/RE describes its syntax, which differs from PCRE2's in
// places: `^` and `$` match at every line, `\h` is a hexadecimal digit, `\v` is one character, `\s` leaves out U+180E,
// `[a[b]]` is a nested class, `a{1,2}+` is a repetition of a repetition. Here, an expression is read piece by piece. A
// piece whose meaning is the same in both, or can be written in the other syntax, is passed on. Anything else is
// refused, because a wrong split would be silent.
#pragma once

#include <string>
#include <string_view>

namespace terse::data {

struct TranslatedPattern {
  std::string text;  // for PCRE2_UTF | PCRE2_UCP
  // Whether a match depends on what stands before its start: the pattern has ^, \A or a look-behind.
  bool looks_back = false;
};

// Classes follow Unicode 16 (unicode_tables.h). Throws std::invalid_argument that quotes the piece which is not
// supported, and its byte. It does not find every mistake of syntax; PCRE2 finds the rest.
TranslatedPattern translate_pattern(std::string_view pattern);

}  // namespace terse::data
