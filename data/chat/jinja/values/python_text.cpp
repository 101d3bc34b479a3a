// Follows CPython: float_repr_style "short", unicode_repr(), and json.encoder.
#include "data/chat/jinja/values/python_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/utf8.h"

namespace terse::data::jinja {

namespace {

struct CharacterRange {
  char32_t first;
  char32_t last;
};

// Above U+00A0, what str.isprintable() excludes among the assigned characters: separators, format characters, private
// use, and what is no character.
constexpr std::array<CharacterRange, 24> kNotPrintable = {
    {{0x7F, 0xA0},       {0xAD, 0xAD},       {0x600, 0x605},     {0x61C, 0x61C},     {0x6DD, 0x6DD},
     {0x70F, 0x70F},     {0x890, 0x891},     {0x8E2, 0x8E2},     {0x1680, 0x1680},   {0x180E, 0x180E},
     {0x2000, 0x200F},   {0x2028, 0x202F},   {0x205F, 0x206F},   {0x3000, 0x3000},   {0xD800, 0xF8FF},
     {0xFEFF, 0xFEFF},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},   {0x110BD, 0x110BD}, {0x110CD, 0x110CD},
     {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0x10FFFF}}};

bool is_printable(char32_t character) {
  if (character < 0x20) return false;
  return std::none_of(kNotPrintable.begin(), kNotPrintable.end(),
                      [&](const CharacterRange& range) { return range.first <= character && character <= range.last; });
}

std::string escaped(char32_t character) {
  const auto value = static_cast<uint32_t>(character);
  if (value < 0x100) return fmt::format("\\x{:02x}", value);
  return value < 0x10000 ? fmt::format("\\u{:04x}", value) : fmt::format("\\U{:08x}", value);
}

void append_repr(Text& out, const Text& text) {
  const bool single = text.bytes().find('\'') == std::string::npos || text.bytes().find('"') != std::string::npos;
  const std::string quote = single ? "'" : "\"";
  out.append(quote);
  for_each_character(text, [&](char32_t character, size_t begin, size_t end) {
    const Origin origin = text.origin_at(begin);
    if (character == '\\' || (character == '\'' && single)) {
      out.append("\\", origin);
      out.append(text, begin, end);
    } else if (character == '\n' || character == '\r' || character == '\t') {
      out.append(character == '\n' ? "\\n" : character == '\r' ? "\\r" : "\\t", origin);
    } else if (is_printable(character)) {
      out.append(text, begin, end);
    } else {
      out.append(escaped(character), origin);
    }
  });
  out.append(quote);
}

void append_repr(Context& context, Text& out, const Value& value);

void append_list(Context& context, Text& out, const List& list) {
  out.append(list.is_tuple() ? "(" : "[");
  for (size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(context, out, list.items[i]);
  }
  if (list.is_tuple() && list.items.size() == 1) out.append(",");
  out.append(list.is_tuple() ? ")" : "]");
}

void append_dict(Context& context, Text& out, const Dict& dict) {
  out.append("{");
  for (size_t i = 0; i < dict.items.size(); ++i) {
    if (i > 0) out.append(", ");
    append_repr(context, out, dict.items[i].first);
    out.append(": ");
    append_repr(context, out, dict.items[i].second);
  }
  out.append("}");
}

void append_repr(Context& context, Text& out, const Value& value) {
  context.spend();
  if (const Text* text = value.text()) {
    context.spend(text->size());
    append_repr(out, *text);
  } else if (value.is_undefined()) {
    out.append("Undefined");
  } else if (const List* list = value.list(); list != nullptr && list->has_indices()) {
    append_list(context, out, *list);
  } else if (const Dict* dict = value.dict()) {
    append_dict(context, out, *dict);
  } else {
    out.append(to_text(context, value));
  }
}

std::string json_escape(char32_t character, bool ensure_ascii) {
  switch (character) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    case '\f':
      return "\\f";
    case '\b':
      return "\\b";
    default:
      break;
  }
  const auto value = static_cast<uint32_t>(character);
  if (value < 0x20 || (ensure_ascii && value > 0x7E && value < 0x10000)) {
    return fmt::format("\\u{:04x}", value);
  }
  if (ensure_ascii && value >= 0x10000) {
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((value - 0x10000) >> 10), 0xDC00 + ((value - 0x10000) & 0x3FF));
  }
  return {};
}

// Writes one value as JSON. json.dumps() cannot write what it does not know, and neither can this.
class JsonWriter {
 public:
  JsonWriter(Context& context, const JsonStyle& style) : context_(context), style_(style) {}

  void write(const Value& value, int level) {
    context_.spend();
    if (const Text* text = value.text()) {
      write_text(*text);
    } else if (const List* list = value.list(); list != nullptr && list->has_indices()) {
      write_items(list->items.size(), "[", "]", level, [&](size_t i) { write(list->items[i], level + 1); });
    } else if (const Dict* dict = value.dict()) {
      write_dict(*dict, level);
    } else {
      out_.append(scalar(value), Origin::of_user());
    }
  }

  Text take() { return std::move(out_); }

 private:
  std::string scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (const bool* flag = value.boolean()) return *flag ? "true" : "false";
    if (const int64_t* whole = value.integer()) return std::to_string(*whole);
    if (const double* real = value.real()) {
      if (std::isnan(*real)) return "NaN";
      if (std::isinf(*real)) return *real > 0 ? "Infinity" : "-Infinity";
      return float_text(*real);
    }
    if (value.is_undefined()) context_.fail(*std::get<Undefined>(value.data()).why + ", so it has no JSON");
    context_.fail(fmt::format("a {} has no JSON", type_name(value)));
  }

  void write_text(const Text& text) {
    context_.spend(2 * text.size());
    out_.append("\"");
    size_t plain = 0;  // the start of what needs no escape
    for_each_character(text, [&](char32_t character, size_t begin, size_t end) {
      const std::string escape = json_escape(character, style_.ensure_ascii);
      if (escape.empty()) return;
      out_.append(text, plain, begin);
      out_.append(escape, text.origin_at(begin));
      plain = end;
    });
    out_.append(text, plain, text.size());
    out_.append("\"");
  }

  void write_dict(const Dict& dict, int level) {
    std::vector<const std::pair<Value, Value>*> items;
    for (const auto& item : dict.items) items.push_back(&item);
    if (style_.sort_keys) {
      context_.spend(items.size() * 100);
      std::stable_sort(items.begin(), items.end(),
                       [&](const auto* left, const auto* right) { return less(context_, left->first, right->first); });
    }
    write_items(items.size(), "{", "}", level, [&](size_t i) {
      const Value& key = items[i]->first;
      write_text(key.text() != nullptr ? *key.text() : Text(scalar(key), Origin::of_user()));
      out_.append(style_.key_separator);
      write(items[i]->second, level + 1);
    });
  }

  template <typename Write>
  void write_items(size_t count, const char* open, const char* close, int level, Write write_item) {
    out_.append(open);
    for (size_t i = 0; i < count; ++i) {
      if (i > 0) out_.append(style_.item_separator);
      new_line(level + 1);
      write_item(i);
    }
    if (count > 0) new_line(level);
    out_.append(close);
  }

  void new_line(int level) {
    if (!style_.indent) return;
    context_.spend(style_.indent->size() * static_cast<size_t>(level));
    out_.append("\n");
    for (int i = 0; i < level; ++i) out_.append(*style_.indent);
  }

  Context& context_;
  const JsonStyle& style_;
  Text out_;
};

}  // namespace

Text to_text(Context& context, const Value& value) {
  if (const Text* text = value.text()) return *text;
  if (value.is_undefined()) return Text();
  if (value.is_none()) return Text("None");
  if (const bool* flag = value.boolean()) return Text(*flag ? "True" : "False");
  if (const int64_t* whole = value.integer()) return Text(std::to_string(*whole));
  if (const double* real = value.real()) return Text(float_text(*real));
  const bool is_list = value.list() != nullptr && value.list()->has_indices();
  if (!is_list && value.dict() == nullptr) {
    context.refuse(fmt::format("printing a {}", type_name(value)));
  }
  Text out;
  append_repr(context, out, value);
  return out;
}

Text to_json(Context& context, const Value& value, const JsonStyle& style) {
  JsonWriter writer(context, style);
  writer.write(value, 0);
  return writer.take();
}

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 64> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::scientific).ptr;
  const std::string scientific(digits.data(), end);
  const size_t e = scientific.find('e');
  const int exponent = std::stoi(scientific.substr(e + 1));
  if (exponent >= 16 || exponent < -4) {
    return fmt::format("{}e{}{:02d}", scientific.substr(0, e), exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  const auto fixed = std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed).ptr;
  std::string text(digits.data(), fixed);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

bool is_white_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

size_t skip_white_space(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const CodePoint character = first_code_point(text.substr(at));
    if (character.length == 0 || !is_white_space(character.value)) break;
    at += static_cast<size_t>(character.length);
  }
  return at;
}

size_t end_without_white_space(std::string_view text) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && (text[begin] & 0xC0) == 0x80) --begin;
    if (!is_white_space(first_code_point(text.substr(begin)).value)) break;
    end = begin;
  }
  return end;
}

}  // namespace terse::data::jinja
