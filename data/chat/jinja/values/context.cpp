// Words the errors of templates, and enforces the budget.
#include "data/chat/jinja/values/context.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace terse::data::jinja {

void Context::fail(std::string_view problem) const {
  throw DataError(fmt::format("{}, line {}: {}", name_, line, printable(problem)));
}

void Context::refuse(std::string_view construct) const {
  fail(fmt::format("{} is not supported; give the model a chat template that does without it", construct));
}

void Context::spend(size_t bytes) {
  work_ += 1 + bytes / 8;
  if (work_ > Limits::kWork) {
    fail(fmt::format("the template takes more than {} units of work, so it was stopped", Limits::kWork));
  }
}

Nesting::Nesting(Context& context) : context_(context) {
  if (context_.depth >= Limits::kCallDepth) {
    context_.fail(fmt::format("more than {} calls and expressions are nested; does a macro call itself without end?",
                              Limits::kCallDepth));
  }
  ++context_.depth;
}

}  // namespace terse::data::jinja
