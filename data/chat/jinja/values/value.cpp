// Compares, searches and walks through values by the rules of Python.
#include "data/chat/jinja/values/value.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace terse::data::jinja {

namespace {

constexpr size_t kValueBytes = sizeof(Value) * 2;  // what a value in a list is taken to cost

int depth_of(const Value& value) {
  if (const List* list = value.list()) return list->depth;
  if (const Dict* dict = value.dict()) return dict->depth;
  return 0;
}

void check_depth(Context& context, int depth) {
  if (depth > Limits::kValueDepth) {
    context.fail(fmt::format("lists and dicts are nested more than {} deep", Limits::kValueDepth));
  }
}

bool equal_items(Context& context, const std::vector<Value>& left, const std::vector<Value>& right) {
  if (left.size() != right.size()) return false;
  for (size_t i = 0; i < left.size(); ++i) {
    if (!equal(context, left[i], right[i])) return false;
  }
  return true;
}

bool equal_dicts(Context& context, const Dict& left, const Dict& right) {
  if (left.items.size() != right.items.size()) return false;
  for (const auto& [key, value] : left.items) {
    const Value* other = find(context, right, key);
    if (other == nullptr || !equal(context, value, *other)) return false;
  }
  return true;
}

size_t character_bytes(const Text& text, size_t at) {
  const int size = first_code_point(std::string_view(text.bytes()).substr(at)).length;
  return static_cast<size_t>(std::max(size, 1));
}

bool is_key(const Value& value) {
  return value.text() != nullptr || value.is_none() || number(value).has_value();
}

}  // namespace

void check_part(Context& context, const Value& value) {
  const bool refers =
      value.macro() != nullptr || value.loop() != nullptr || value.space() != nullptr || value.function() != nullptr;
  if (refers) context.refuse(fmt::format("a {} inside another value", type_name(value)));
}

Value make_list(Context& context, std::vector<Value> items, ListKind kind) {
  context.spend(items.size() * kValueBytes);
  int depth = 1;
  for (const Value& item : items) {
    check_part(context, item);
    depth = std::max(depth, 1 + depth_of(item));
  }
  check_depth(context, depth);
  return Value(std::make_shared<const List>(List{std::move(items), kind, depth}));
}

Value make_dict(Context& context, std::vector<std::pair<Value, Value>> items) {
  context.spend(items.size() * 2 * kValueBytes);
  auto dict = std::make_shared<Dict>();
  for (auto& [key, value] : items) {
    check_part(context, value);
    if (!is_key(key)) context.fail(fmt::format("a {} cannot be the key of a dict", type_name(key)));
    dict->depth = std::max(dict->depth, 1 + depth_of(value));
    if (const Value* known = find(context, *dict, key)) {
      *const_cast<Value*>(known) = std::move(value);  // the dict is still under construction
    } else {
      dict->items.emplace_back(std::move(key), std::move(value));
    }
  }
  check_depth(context, dict->depth);
  return Value(std::shared_ptr<const Dict>(std::move(dict)));
}

Value make_dict_of_distinct_keys(Context& context, std::vector<std::pair<Value, Value>> items) {
  context.spend(items.size() * 2 * kValueBytes);
  int depth = 1;
  for (const auto& item : items) depth = std::max(depth, 1 + depth_of(item.second));
  check_depth(context, depth);
  return Value(std::make_shared<const Dict>(Dict{std::move(items), depth}));
}

const char* type_name(const Value& value) {
  if (const List* list = value.list()) {
    if (!list->has_indices()) return list->is_iterator() ? "iterator" : "view of a dict";
    return list->is_tuple() ? "tuple" : "list";
  }
  if (value.is_undefined()) return "undefined value";
  if (value.is_none()) return "NoneType";
  if (value.boolean() != nullptr) return "bool";
  if (value.integer() != nullptr) return "int";
  if (value.real() != nullptr) return "float";
  if (value.text() != nullptr) return "str";
  if (value.dict() != nullptr) return "dict";
  if (value.space() != nullptr) return "namespace";
  if (value.loop() != nullptr) return "loop";
  return value.macro() != nullptr ? "macro" : "function";
}

bool truth(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (const auto n = number(value)) return *n != 0;
  if (const Text* text = value.text()) return text->size() > 0;
  if (const List* list = value.list()) return list->is_iterator() || !list->items.empty();
  if (const Dict* dict = value.dict()) return !dict->items.empty();
  return true;
}

bool equal(Context& context, const Value& left, const Value& right) {
  const Nesting nesting(context);
  context.spend();
  if (const auto a = whole_number(left), b = whole_number(right); a && b) return *a == *b;
  if (const auto a = number(left), b = number(right); a && b) return *a == *b;
  if (left.text() != nullptr && right.text() != nullptr) {
    context.spend(std::min(left.text()->size(), right.text()->size()));
    return left.text()->bytes() == right.text()->bytes();
  }
  if (left.list() != nullptr && right.list() != nullptr) {
    return left.list()->kind == right.list()->kind && equal_items(context, left.list()->items, right.list()->items);
  }
  if (left.dict() != nullptr && right.dict() != nullptr) return equal_dicts(context, *left.dict(), *right.dict());
  if (left.is_undefined() && right.is_undefined()) return true;
  if (left.space() != nullptr || left.loop() != nullptr || left.macro() != nullptr) {
    return left.space() == right.space() && left.loop() == right.loop() && left.macro() == right.macro();
  }
  return left.is_none() && right.is_none();
}

bool less(Context& context, const Value& left, const Value& right) {
  const Nesting nesting(context);
  context.spend();
  if (const auto a = whole_number(left), b = whole_number(right); a && b) return *a < *b;
  if (const auto a = number(left), b = number(right); a && b) return *a < *b;
  if (left.text() != nullptr && right.text() != nullptr) {
    // In UTF-8, the order of bytes is the order of characters.
    context.spend(std::min(left.text()->size(), right.text()->size()));
    return left.text()->bytes() < right.text()->bytes();
  }
  if (left.list() != nullptr && right.list() != nullptr && left.list()->kind == right.list()->kind) {
    const auto &a = left.list()->items, &b = right.list()->items;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (!equal(context, a[i], b[i])) return less(context, a[i], b[i]);
    }
    return a.size() < b.size();
  }
  context.fail(fmt::format("a {} and a {} have no order", type_name(left), type_name(right)));
}

bool contains(Context& context, const Value& container, const Value& item) {
  context.spend();
  if (const Text* text = container.text()) {
    if (item.text() == nullptr) context.fail(fmt::format("only a str can be in a str, not a {}", type_name(item)));
    context.spend_search(text->size(), item.text()->size());
    return text->bytes().find(item.text()->bytes()) != std::string::npos;
  }
  if (const Dict* dict = container.dict()) {
    if (item.list() != nullptr || item.dict() != nullptr) {
      context.fail(fmt::format("a {} cannot be the key of a dict", type_name(item)));
    }
    return find(context, *dict, item) != nullptr;
  }
  if (container.list() != nullptr) {
    const std::vector<Value> items = iterate(context, container);
    return std::any_of(items.begin(), items.end(),
                       [&](const Value& candidate) { return equal(context, candidate, item); });
  }
  if (container.is_undefined()) return false;
  context.fail(fmt::format("nothing can be in a {}", type_name(container)));
}

const Value* find(Context& context, const Dict& dict, const Value& key) {
  if (key.text() != nullptr) return find(context, dict, key.text()->bytes());
  for (const auto& [candidate, value] : dict.items) {
    if (candidate.text() == nullptr && equal(context, candidate, key)) return &value;
  }
  return nullptr;
}

const Value* find(Context& context, const Dict& dict, std::string_view key) {
  context.spend(dict.items.size() * 4);
  for (const auto& [candidate, value] : dict.items) {
    if (candidate.text() != nullptr && candidate.text()->bytes() == key) return &value;
  }
  return nullptr;
}

std::vector<Value> iterate(Context& context, const Value& value) {
  std::vector<Value> items;
  if (const List* list = value.list()) {
    if (list->is_iterator() && std::exchange(list->is_read, true)) {
      context.refuse("reading the result of a filter such as map or select twice (the filter list makes a list of it)");
    }
    items = list->items;
  } else if (const Dict* dict = value.dict()) {
    for (const auto& item : dict->items) items.push_back(item.first);
  } else if (const Text* text = value.text()) {
    context.spend(text->size() * kValueBytes);
    for (size_t at = 0; at < text->size();) {
      const size_t size = character_bytes(*text, at);
      items.emplace_back(text->slice(at, at + size));
      at += size;
    }
  } else if (!value.is_undefined()) {
    context.fail(fmt::format("a {} has no items", type_name(value)));
  }
  context.spend(items.size() * kValueBytes);
  return items;
}

int64_t length(Context& context, const Value& value) {
  if (const List* list = value.list(); list != nullptr && !list->is_iterator()) {
    return static_cast<int64_t>(list->items.size());
  }
  if (const Dict* dict = value.dict()) return static_cast<int64_t>(dict->items.size());
  if (const Text* text = value.text()) {
    context.spend(text->size());
    return std::count_if(text->bytes().begin(), text->bytes().end(), [](char c) { return (c & 0xC0) != 0x80; });
  }
  if (value.is_undefined()) return 0;
  context.fail(fmt::format("a {} has no length", type_name(value)));
}

std::optional<double> number(const Value& value) {
  if (const auto whole = whole_number(value)) return static_cast<double>(*whole);
  return value.real() != nullptr ? std::optional(*value.real()) : std::nullopt;
}

std::optional<int64_t> whole_number(const Value& value) {
  if (value.boolean() != nullptr) return *value.boolean() ? 1 : 0;
  return value.integer() != nullptr ? std::optional(*value.integer()) : std::nullopt;
}

}  // namespace terse::data::jinja
