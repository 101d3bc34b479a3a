// Invalid UTF-8 in a value is replaced, so that the message is text.
#include "trainer/saved_model/json_field.h"

#include <fmt/format.h>

#include "base/errors.h"
#include "base/text/message_text.h"

namespace terse::trainer {

using nlohmann::json;

void fail_field(const std::string& key, const json& found, const std::string& expected) {
  constexpr size_t kShown = 100;
  const std::string text = found.dump(-1, ' ', false, json::error_handler_t::replace);
  throw DataError(fmt::format("\"{}\" is {}; expected {}", key, message_text(text, kShown), expected));
}

const json& required_field(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) throw DataError(fmt::format("it has no \"{}\"", key));
  return *found;
}

}  // namespace terse::trainer
