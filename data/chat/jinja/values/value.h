// Defines the values of the template language. They behave as the values of Python do that Jinja2 works with. Values
// are immutable, except for namespaces.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "data/chat/jinja/values/context.h"
#include "data/chat/jinja/values/text.h"

namespace terse::data::jinja {

struct List;
struct Dict;
struct Namespace;
struct Macro;
struct Loop;

struct None {};
// The value of a name that does not exist. It prints as nothing; most other uses of it are errors.
struct Undefined {
  std::shared_ptr<const std::string> why;  // "'date' is undefined"
};
// A function of the language such as range(), or a method that a template mentions without calling it.
struct Function {
  std::string name;
};

class Value {
 public:
  using Data =
      std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>, std::shared_ptr<const List>,
                   std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, Function, const Macro*, const Loop*>;

  Value() : data_(None{}) {}
  template <typename T>
  requires std::is_constructible_v<Data, T> &&(!std::is_same_v<std::decay_t<T>, Value>)explicit Value(T data)
      : data_(std::move(data)) {}
  explicit Value(Text text) : data_(std::make_shared<const Text>(std::move(text))) {}

  static Value undefined(std::string why) { return Value(Undefined{std::make_shared<const std::string>(why)}); }

  const Data& data() const { return data_; }
  template <typename T>
  bool is() const {
    return std::holds_alternative<T>(data_);
  }
  bool is_undefined() const { return is<Undefined>(); }
  bool is_none() const { return is<None>(); }
  // The value as one of its types, or nullptr.
  const Text* text() const { return pointer<const Text>(); }
  const List* list() const { return pointer<const List>(); }
  const Dict* dict() const { return pointer<const Dict>(); }
  Namespace* space() const { return pointer<Namespace>(); }
  const Macro* macro() const { return is<const Macro*>() ? std::get<const Macro*>(data_) : nullptr; }
  const Loop* loop() const { return is<const Loop*>() ? std::get<const Loop*>(data_) : nullptr; }
  const Function* function() const { return std::get_if<Function>(&data_); }
  const bool* boolean() const { return std::get_if<bool>(&data_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&data_); }
  const double* real() const { return std::get_if<double>(&data_); }

 private:
  template <typename T>
  T* pointer() const {
    const auto* held = std::get_if<std::shared_ptr<T>>(&data_);
    return held == nullptr ? nullptr : held->get();
  }

  Data data_;
};

enum class ListKind {
  kList,
  kTuple,
  // The methods items(), keys() and values() of a dict return this; it has no indices.
  kView,
  // What Python returns as an iterator, for example from the filter `map`: it is true even when it is empty, has no
  // length, and can be read only once.
  kIterator,
};

struct List {
  std::vector<Value> items;
  ListKind kind = ListKind::kList;
  int depth = 1;                 // 1: no lists or dicts inside
  mutable bool is_read = false;  // of an iterator

  bool is_tuple() const { return kind == ListKind::kTuple; }
  bool is_iterator() const { return kind == ListKind::kIterator; }
  bool has_indices() const { return kind == ListKind::kList || kind == ListKind::kTuple; }
};

// The variable `loop` tells this inside of {% for %}.
struct Loop {
  int64_t index0 = 0;
  int64_t length = 0;
  int64_t depth0 = 0;
  Value previous;                                  // undefined in the first round
  Value next;                                      // undefined in the last round
  mutable std::optional<std::vector<Value>> seen;  // what loop.changed() was last asked about
};

// A dict keeps the order of its keys. Keys are texts, numbers, booleans or none.
struct Dict {
  std::vector<std::pair<Value, Value>> items;
  int depth = 1;
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> attributes;
};

// Make a list, a tuple or a dict. They fail when values are nested too deeply, when a key cannot be one, or when a
// value is a function, a loop or a namespace: without those inside, no value can outlive what it refers to or contain
// itself.
Value make_list(Context& context, std::vector<Value> items, ListKind kind = ListKind::kList);
Value make_dict(Context& context, std::vector<std::pair<Value, Value>> items);
// Makes a dict of texts as keys that are known to differ, which saves the search for equal ones.
Value make_dict_of_distinct_keys(Context& context, std::vector<std::pair<Value, Value>> items);
// Fails unless the value may become part of another value.
void check_part(Context& context, const Value& value);

const char* type_name(const Value& value);  // as in Python: "str", "dict"
bool truth(const Value& value);
bool equal(Context& context, const Value& left, const Value& right);
// Returns whether left < right. Fails for values without an order.
bool less(Context& context, const Value& left, const Value& right);
// Returns whether `item in container`.
bool contains(Context& context, const Value& container, const Value& item);
// Returns nullptr when the key is absent.
const Value* find(Context& context, const Dict& dict, const Value& key);
const Value* find(Context& context, const Dict& dict, std::string_view key);
// Returns the items of a list, the characters of a text or the keys of a dict. Fails for anything else, and refuses to
// read an iterator twice.
std::vector<Value> iterate(Context& context, const Value& value);
// Returns the number of characters or items.
int64_t length(Context& context, const Value& value);
// Returns a number as a double; booleans count as 0 and 1. Returns nothing for other values.
std::optional<double> number(const Value& value);
// Returns an integer or a boolean as an integer.
std::optional<int64_t> whole_number(const Value& value);

}  // namespace terse::data::jinja
