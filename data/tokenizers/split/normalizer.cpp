// Normalizes run by run. A run is a character below U+0300, which may receive an accent, and the characters after it
// that are not below. Everything else is already in form C.
//
// The `tokenizers` library normalizes by the data of Unicode 9, in which later characters join with nothing and do not
// change places. Such a character ends what is normalized together, so that the ids are those that a model has learned.
//
// utf8proc_map() sorts accents in quadratic time, so this file sorts by itself.
#include "data/tokenizers/split/normalizer.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "base/utf8.h"
#include "data/tokenizers/split/unicode_tables.h"

namespace terse::data {

namespace {

struct Range {
  char32_t first;
  char32_t last;
};

// The characters of Unicode 10 to 14 that have a combining class, or join with a character before them
// (DerivedAge.txt, UnicodeData.txt).
constexpr Range kAfter9[] = {
    // clang-format off
    {0x7FD, 0x7FD}, {0x898, 0x89F}, {0x8CA, 0x8D3}, {0x9FE, 0x9FE}, {0xC3C, 0xC3C}, {0xD3B, 0xD3C}, {0xEBA, 0xEBA},
    {0x1715, 0x1715}, {0x1ABF, 0x1ACE}, {0x1DF6, 0x1DFA}, {0xA82C, 0xA82C}, {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC},
    {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070}, {0x1133B, 0x1133B}, {0x1145E, 0x1145E},
    {0x11839, 0x1183A}, {0x11930, 0x11930}, {0x1193D, 0x1193E}, {0x11943, 0x11943}, {0x119E0, 0x119E0},
    {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99}, {0x11D42, 0x11D42}, {0x11D44, 0x11D45},
    {0x11D97, 0x11D97}, {0x16FF0, 0x16FF1}, {0x1E130, 0x1E136}, {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF},
    // clang-format on
};

bool is_known_to_unicode_9(char32_t c) {
  const Range* after = std::upper_bound(std::begin(kAfter9), std::end(kAfter9), c,
                                        [](char32_t value, const Range& range) { return value < range.first; });
  return (after == std::begin(kAfter9) || c > after[-1].last) && !is_after_unicode_14(c);
}

// The first byte of a character from U+0300 on.
bool is_high(char byte) {
  return static_cast<uint8_t>(byte) >= 0xCC;
}

bool is_continuation(char byte) {
  return (static_cast<uint8_t>(byte) & 0xC0) == 0x80;
}

int combining_class(utf8proc_int32_t c) {
  return utf8proc_get_property(c)->combining_class;
}

// Brings decomposed characters into order, composes them, and appends them.
void append_composed(std::string& out, std::vector<utf8proc_int32_t>& points) {
  for (auto begin = points.begin(); begin != points.end();) {
    if (combining_class(*begin) == 0) {
      ++begin;
      continue;
    }
    const auto end = std::find_if(begin, points.end(), [](auto c) { return combining_class(c) == 0; });
    std::stable_sort(begin, end, [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    begin = end;
  }
  const utf8proc_ssize_t size =
      utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  if (size < 0) throw std::logic_error(fmt::format("utf8proc: {}", utf8proc_errmsg(size)));
  for (utf8proc_ssize_t i = 0; i < size; ++i) append_utf8(out, static_cast<char32_t>(points[static_cast<size_t>(i)]));
  points.clear();
}

void append_normalized(std::string& out, std::string_view run) {
  std::vector<utf8proc_int32_t> points;
  for (size_t i = 0; i < run.size();) {
    const CodePoint point = first_code_point(run.substr(i));
    if (point.length == 0) throw std::invalid_argument("normalize_nfc needs UTF-8");
    i += static_cast<size_t>(point.length);
    if (!is_known_to_unicode_9(point.value)) {
      append_composed(out, points);
      append_utf8(out, point.value);
      continue;
    }
    utf8proc_int32_t parts[32];  // a character has at most 4 parts
    int boundary = 0;
    const utf8proc_ssize_t count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(point.value), parts, std::size(parts),
                                static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &boundary);
    if (count < 0 || count > static_cast<utf8proc_ssize_t>(std::size(parts))) {
      throw std::logic_error(fmt::format("utf8proc: {}", utf8proc_errmsg(count)));
    }
    points.insert(points.end(), parts, parts + count);
  }
  append_composed(out, points);
}

}  // namespace

std::string normalize_nfc(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t high = static_cast<size_t>(std::find_if(text.begin() + at, text.end(), is_high) - text.begin());
    if (high == text.size()) break;
    size_t begin = high;
    if (begin > done) {
      do --begin;
      while (is_continuation(text[begin]));
    }
    size_t end = high + 1;
    while (end < text.size() && (is_high(text[end]) || is_continuation(text[end]))) ++end;
    // A character from U+0080 to U+02FF starts a run of its own, so that it may receive an accent.
    out += text.substr(done, begin - done);
    append_normalized(out, text.substr(begin, end - begin));
    done = at = end;
  }
  return out += text.substr(done);
}

size_t simple_end(std::string_view text) {
  size_t begin = text.size();
  while (begin > 0 && !is_high(text[begin - 1])) --begin;
  while (begin < text.size() && is_continuation(text[begin])) ++begin;
  return begin;
}

}  // namespace terse::data
