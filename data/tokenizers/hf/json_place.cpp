// Names the place of every value that is not what was expected.
#include "data/tokenizers/hf/json_place.h"

#include <fmt/format.h>

#include <stdexcept>

#include "base/text/checked_json.h"
#include "base/text/message_text.h"

namespace terse::data {

namespace {

using nlohmann::json;

constexpr size_t kMaxShown = 60;

// Returns a value as it may stand in a message.
std::string shown(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  return message_text(value.dump(-1, ' ', false, json::error_handler_t::replace), kMaxShown);
}

}  // namespace

void JsonPlace::refuse(std::string_view why) const {
  throw std::invalid_argument(path_.empty() ? std::string(why) : fmt::format("{}: {}", path_, why));
}

void JsonPlace::expected(std::string_view what) const {
  refuse(fmt::format("found {}, expected {}", shown(*value_), what));
}

JsonPlace JsonPlace::at(std::string_view key) const {
  if (!value_->is_object()) expected("an object");
  const std::string path = path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  const auto found = value_->find(key);
  if (found == value_->end()) throw std::invalid_argument(fmt::format("{} is missing", path));
  return JsonPlace(*found, path);
}

JsonPlace JsonPlace::at(size_t index) const {
  if (!value_->is_array() || index >= value_->size()) expected(fmt::format("an array of more than {} values", index));
  return JsonPlace((*value_)[index], fmt::format("{}[{}]", path_, index));
}

std::optional<JsonPlace> JsonPlace::find(std::string_view key) const {
  if (!value_->is_object()) expected("an object");
  const auto found = value_->find(key);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return at(key);
}

size_t JsonPlace::array_size() const {
  if (!value_->is_array()) expected("an array");
  return value_->size();
}

const std::string& JsonPlace::string() const {
  if (!value_->is_string()) expected("a string");
  return value_->get_ref<const std::string&>();
}

int64_t JsonPlace::integer(int64_t low, int64_t high) const {
  const bool whole = value_->is_number_integer() &&
                     (!value_->is_number_unsigned() || value_->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
  if (!whole || value_->get<int64_t>() < low || value_->get<int64_t>() > high) {
    expected(fmt::format("a whole number from {} to {}", low, high));
  }
  return value_->get<int64_t>();
}

bool JsonPlace::boolean() const {
  if (!value_->is_boolean()) expected("true or false");
  return value_->get<bool>();
}

bool JsonPlace::boolean(std::string_view key, bool absent) const {
  const std::optional<JsonPlace> member = find(key);
  return member ? member->boolean() : absent;
}

json parse_json_strictly(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) throw std::invalid_argument("it begins with a byte order mark");
  try {
    return json::parse(text, CheckedJson<json>());
  } catch (const json::exception& error) {
    throw std::invalid_argument(error.what());
  }
}

}  // namespace terse::data
