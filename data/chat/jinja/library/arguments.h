// Binds the arguments of a call to parameters, as Python does, and reads them as a type.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/chat/jinja/values/value.h"

namespace terse::data::jinja {

// The arguments of a call as the template gives them.
struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// The arguments of a filter, a test, a method or a function after they have been bound to its parameters.
class Arguments {
 public:
  // `what` names the callee for messages: "the filter 'trim'". The first `required` parameters must be given. Fails
  // when arguments are missing, too many, unknown or given twice.
  Arguments(Context& context, std::string what, const CallArguments& call, const std::vector<const char*>& parameters,
            size_t required = 0);

  bool has(size_t i) const { return values_[i].has_value(); }
  // The rest fail when the argument has another type. An absent argument has the value `otherwise`.
  const Value& value(size_t i) const { return *values_[i]; }
  const Text& text(size_t i) const;
  bool flag(size_t i, bool otherwise) const;
  int64_t integer(size_t i, int64_t otherwise) const;

 private:
  [[noreturn]] void wrong(size_t i, const char* expected) const;

  Context& context_;
  std::string what_;
  std::vector<std::string> names_;
  std::vector<std::optional<Value>> values_;
};

}  // namespace terse::data::jinja
