// Works on bytes where that gives the same result as working on characters, which holds for every search in UTF-8.
#include "data/chat/jinja/values/text_operations.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "data/chat/jinja/values/python_text.h"

namespace terse::data::jinja {

namespace {

// The offsets at which the characters of a text start, and its end.
std::vector<size_t> character_starts(Context& context, const Text& text) {
  context.spend(text.size() * sizeof(size_t));
  std::vector<size_t> starts;
  for (size_t at = 0; at < text.size(); ++at) {
    if ((text.bytes()[at] & 0xC0) != 0x80) starts.push_back(at);
  }
  starts.push_back(text.size());
  return starts;
}

bool has_character(const Text& characters, std::string_view character) {
  return characters.bytes().find(character) != std::string::npos;
}

bool is_line_end(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

struct Range {
  size_t begin;
  size_t end;
};

// The parts between runs of white space.
std::vector<Range> words(const std::string& bytes) {
  std::vector<Range> found;
  bool inside = false;
  for (size_t at = 0; at < bytes.size();) {
    const CodePoint character = first_code_point(std::string_view(bytes).substr(at));
    const bool space = is_white_space(character.value);
    if (!space && !inside) found.push_back({at, at});
    inside = !space;
    at += static_cast<size_t>(std::max(character.length, 1));
    if (inside) found.back().end = at;
  }
  return found;
}

// Splits at white space. The part that is left over when `most` is reached keeps its inner white space.
std::vector<Range> split_words(const std::string& bytes, int64_t most, bool from_right) {
  std::vector<Range> found = words(bytes);
  const auto parts = static_cast<int64_t>(found.size());
  if (most < 0 || parts <= most) return found;
  if (from_right) {
    found.erase(found.begin() + 1, found.end() - most);
    if (most > 0 && parts > most) found.front().end = words(bytes)[static_cast<size_t>(parts - most) - 1].end;
    if (most == 0) found.front().end = words(bytes).back().end;
    found.front().begin = 0;
  } else {
    found.erase(found.begin() + most + 1, found.end());
    found.back().end = bytes.size();
  }
  return found;
}

std::vector<Range> split_at(const std::string& bytes, const std::string& separator, int64_t most, bool from_right) {
  std::vector<Range> found;
  if (from_right) {
    size_t end = bytes.size();
    for (; most != 0 && end >= separator.size(); --most) {
      const size_t at = bytes.rfind(separator, end - separator.size());
      if (at == std::string::npos) break;
      found.push_back({at + separator.size(), end});
      end = at;
    }
    found.push_back({0, end});
    std::reverse(found.begin(), found.end());
    return found;
  }
  size_t begin = 0;
  for (size_t at; most != 0 && (at = bytes.find(separator, begin)) != std::string::npos; --most) {
    found.push_back({begin, at});
    begin = at + separator.size();
  }
  found.push_back({begin, bytes.size()});
  return found;
}

}  // namespace

Text stripped(Context& context, const Text& text, const Text* characters, bool left, bool right) {
  context.spend(text.size());
  const std::string_view bytes = text.bytes();
  if (characters == nullptr) {
    const size_t end = right ? end_without_white_space(bytes) : bytes.size();
    return text.slice(left ? skip_white_space(bytes.substr(0, end)) : 0, end);
  }
  const std::vector<size_t> starts = character_starts(context, text);
  context.spend(starts.size() * characters->size());
  size_t first = 0, last = starts.size() - 1;
  const auto strips = [&](size_t i) {
    return has_character(*characters, bytes.substr(starts[i], starts[i + 1] - starts[i]));
  };
  while (left && first < last && strips(first)) ++first;
  while (right && last > first && strips(last - 1)) --last;
  return text.slice(starts[first], starts[last]);
}

std::vector<Value> split(Context& context, const Text& text, const Text* separator, int64_t most, bool from_right) {
  context.spend_search(2 * text.size(), separator == nullptr ? 0 : separator->size());
  if (separator != nullptr && separator->size() == 0) context.fail("split() has an empty separator");
  const std::vector<Range> ranges = separator == nullptr ? split_words(text.bytes(), most, from_right)
                                                         : split_at(text.bytes(), separator->bytes(), most, from_right);
  context.spend(ranges.size() * 64);
  std::vector<Value> parts;
  for (const Range& range : ranges) parts.emplace_back(text.slice(range.begin, range.end));
  return parts;
}

std::vector<Text> lines(Context& context, const Text& text) {
  context.spend(2 * text.size());
  std::vector<Text> found;
  const std::string_view bytes = text.bytes();
  size_t begin = 0;
  for (size_t at = 0; at < bytes.size();) {
    const CodePoint character = first_code_point(bytes.substr(at));
    const size_t end = at;
    at += static_cast<size_t>(std::max(character.length, 1));
    if (!is_line_end(character.value)) continue;
    if (character.value == '\r' && at < bytes.size() && bytes[at] == '\n') ++at;
    found.push_back(text.slice(begin, end));
    begin = at;
  }
  if (begin < bytes.size()) found.push_back(text.slice(begin, bytes.size()));
  return found;
}

Text replaced(Context& context, const Text& text, const Text& old, const Text& with, int64_t most) {
  context.spend_search(text.size(), old.size());
  Text result;
  size_t copied = 0;
  // An empty text is found before every character and at the end.
  for (size_t at = 0; most != 0; --most) {
    at = text.bytes().find(old.bytes(), at);
    if (at == std::string::npos) break;
    context.spend(weight(with));
    result.append(text, copied, at);
    result.append(with);
    copied = at + old.size();
    at = copied;
    if (old.size() > 0) continue;
    if (at == text.size()) break;
    do ++at;
    while (at < text.size() && (text.bytes()[at] & 0xC0) == 0x80);
  }
  result.append(text, copied, text.size());
  return result;
}

Text joined(Context& context, const std::vector<Value>& items, const Text& separator) {
  Text result;
  for (size_t i = 0; i < items.size(); ++i) {
    const Text item = to_text(context, items[i]);
    context.spend(weight(item) + weight(separator));
    if (i > 0) result.append(separator);
    result.append(item);
  }
  return result;
}

Text repeated(Context& context, const Text& text, int64_t times) {
  Text result;
  for (int64_t i = 0; i < times && text.size() > 0; ++i) {
    context.spend(weight(text));
    result.append(text);
  }
  if (text.is_markup()) result.set_markup();
  return result;
}

Text html_escaped(Context& context, const Text& text) {
  context.spend(text.size());
  Text result;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text.bytes()[i];
    const char* escape = c == '&'    ? "&amp;"
                         : c == '<'  ? "&lt;"
                         : c == '>'  ? "&gt;"
                         : c == '\'' ? "&#39;"
                         : c == '"'  ? "&#34;"
                                     : nullptr;
    if (escape == nullptr) {
      result.append(text, i, i + 1);
    } else {
      result.append(escape, text.origin_at(i));
    }
  }
  return result;
}

std::vector<int64_t> slice_indices(Context& context, int64_t size, const Value& start, const Value& stop,
                                   const Value& step) {
  const auto bound = [&](const Value& value) -> std::optional<int64_t> {
    if (value.is_none()) return std::nullopt;
    const auto whole = whole_number(value);
    if (!whole) context.fail(fmt::format("a {} cannot be part of a slice", type_name(value)));
    return whole;
  };
  // A step above the size takes one item, as the size itself does.
  const int64_t stride = std::clamp(bound(step).value_or(1), -size - 1, size + 1);
  if (stride == 0) context.fail("the step of a slice is 0");
  const int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? size : size - 1;
  const auto place = [&](std::optional<int64_t> at, int64_t otherwise) {
    if (!at) return otherwise;
    const int64_t near = std::clamp(*at, -size - 1, size + 1);
    return std::clamp(near < 0 ? near + size : near, low, high);
  };
  const int64_t first = place(bound(start), stride > 0 ? low : high);
  const int64_t last = place(bound(stop), stride > 0 ? high : low);
  std::vector<int64_t> indices;
  for (int64_t i = first; stride > 0 ? i < last : i > last; i += stride) indices.push_back(i);
  context.spend(indices.size() * sizeof(int64_t));
  return indices;
}

Text sliced(Context& context, const Text& text, const Value& start, const Value& stop, const Value& step) {
  const std::vector<size_t> starts = character_starts(context, text);
  Text result;
  for (const int64_t i : slice_indices(context, static_cast<int64_t>(starts.size()) - 1, start, stop, step)) {
    result.append(text, starts[static_cast<size_t>(i)], starts[static_cast<size_t>(i) + 1]);
  }
  return result;
}

std::optional<Text> character_at(Context& context, const Text& text, int64_t index) {
  const std::vector<size_t> starts = character_starts(context, text);
  const auto size = static_cast<int64_t>(starts.size()) - 1;
  if (index < -size || index >= size) return std::nullopt;
  const auto i = static_cast<size_t>(index < 0 ? index + size : index);
  return text.slice(starts[i], starts[i + 1]);
}

}  // namespace terse::data::jinja
