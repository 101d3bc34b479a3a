// Reads values of a JSON document together with their place in it, which error messages name.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace terse::data {

// A value and its place, e.g. "model.merges[17]". Every function that finds something else than it was asked for throws
// std::invalid_argument with the place, what was found and what was expected. The document must outlive its places.
class JsonPlace {
 public:
  explicit JsonPlace(const nlohmann::json& value, std::string path = {}) : value_(&value), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& path() const { return path_; }

  JsonPlace at(std::string_view key) const;  // an object's member
  JsonPlace at(size_t index) const;          // an array's element
  // Returns a member, or nothing when it is missing or null.
  std::optional<JsonPlace> find(std::string_view key) const;

  size_t array_size() const;
  const std::string& string() const;
  int64_t integer(int64_t low, int64_t high) const;
  bool boolean() const;
  bool boolean(std::string_view key, bool absent) const;  // a member

  [[noreturn]] void refuse(std::string_view why) const;

 private:
  [[noreturn]] void expected(std::string_view what) const;

  const nlohmann::json* value_;
  std::string path_;
};

// Parses a document. Throws std::invalid_argument for text that is not JSON, begins with a byte order mark, nests
// deeper than 64 levels, or has a key twice in one object. The document takes at most 32 times the memory of its text.
nlohmann::json parse_json_strictly(std::string_view text);

}  // namespace terse::data
