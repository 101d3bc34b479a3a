// Words the errors of calls with wrong arguments.
#include "data/chat/jinja/library/arguments.h"

#include <fmt/format.h>

#include <algorithm>

namespace terse::data::jinja {

Arguments::Arguments(Context& context, std::string what, const CallArguments& call,
                     const std::vector<const char*>& parameters, size_t required)
    : context_(context), what_(std::move(what)), names_(parameters.begin(), parameters.end()), values_(names_.size()) {
  if (call.positional.size() > names_.size()) {
    context_.fail(fmt::format("{} takes at most {} arguments, found {}", what_, names_.size(), call.positional.size()));
  }
  std::copy(call.positional.begin(), call.positional.end(), values_.begin());
  for (const auto& [name, value] : call.named) {
    const auto known = std::find(names_.begin(), names_.end(), name);
    if (known == names_.end()) context_.fail(fmt::format("{} has no argument '{}'", what_, name));
    auto& place = values_[static_cast<size_t>(known - names_.begin())];
    if (place) context_.fail(fmt::format("{} has its argument '{}' twice", what_, name));
    place = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!values_[i]) context_.fail(fmt::format("{} lacks its argument '{}'", what_, names_[i]));
  }
}

const Text& Arguments::text(size_t i) const {
  if (value(i).text() == nullptr) wrong(i, "str");
  return *value(i).text();
}

bool Arguments::flag(size_t i, bool otherwise) const {
  return has(i) ? truth(value(i)) : otherwise;
}

int64_t Arguments::integer(size_t i, int64_t otherwise) const {
  if (!has(i)) return otherwise;
  const auto whole = whole_number(value(i));
  if (!whole) wrong(i, "int");
  return *whole;
}

void Arguments::wrong(size_t i, const char* expected) const {
  context_.fail(
      fmt::format("the argument '{}' of {} must be a {}, found a {}", names_[i], what_, expected, type_name(value(i))));
}

}  // namespace terse::data::jinja
