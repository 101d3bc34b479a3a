// Renders small templates in the tests.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "data/chat/jinja/interpreter.h"
#include "data/chat/jinja/syntax/parser.h"
#include "data/chat/jinja/values/from_json.h"
#include "tests/data/support.h"

namespace terse::data::jinja {

using Json = nlohmann::ordered_json;

// Renders a template named "t". All variables are input of a user. The work is less than what a real template may take,
// so that tests of the limit are quick.
inline Text render(const std::string& source, const Json& variables = Json::object()) {
  Context context("t", {}, 1'000'000);
  const Body body = parse(source, context);
  Interpreter interpreter(body, context);
  for (const auto& [name, value] : variables.items())
    interpreter.set(name, from_json(context, value, Origin::of_user()));
  return interpreter.run();
}

// Returns a text with its input in braces: "a{b}c".
inline std::string marked(const Text& text) {
  std::string result;
  size_t begin = 0;
  for (const Run& run : text.runs()) {
    const std::string part = text.bytes().substr(begin, run.end - begin);
    result += run.origin.is_input() ? "{" + part + "}" : part;
    begin = run.end;
  }
  return result;
}

inline std::string problem(const std::string& source, const Json& variables = Json::object()) {
  return message_of<DataError>([&] { render(source, variables); });
}

}  // namespace terse::data::jinja
