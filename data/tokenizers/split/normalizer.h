// Brings text into Unicode's normalization form C, in which "e" with an accent after it becomes "é".
#pragma once

#include <string>
#include <string_view>

namespace terse::data {

// Returns the text in form C (UAX 15), as of Unicode 9, like the `tokenizers` library: later characters stay as they
// are. `text` must be UTF-8. The time is linear but for sorting, also for a letter with a million accents.
std::string normalize_nfc(std::string_view text);

// Returns the start of the part at the end of the text that has only characters below U+0300. Such a character is in
// form C and never joins with a character before it.
size_t simple_end(std::string_view text);

}  // namespace terse::data
