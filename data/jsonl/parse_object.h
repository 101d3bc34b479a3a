// Parses a line of JSON Lines that a person or another program wrote.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/errors.h"
#include "base/text/checked_json.h"
#include "base/utf8.h"
#include "data/jsonl/line_reader.h"

namespace terse::data {

// Returns the object in a line. Throws DataError when the line is longer than kMaxLineBytes, is not UTF-8 or JSON, is
// no object, nests deeper than 64 levels, or when an object has a key twice or more than 10000 keys.
template <typename Json>
Json parse_object(const TextLine& line) {
  constexpr size_t kMostKeys = 10000;
  if (line.too_long) throw DataError(fmt::format("the line is longer than {} MiB", kMaxLineBytes >> 20));
  if (const size_t invalid = find_invalid_utf8(line.text); invalid != std::string::npos) {
    throw DataError(fmt::format("the line is not UTF-8 at byte {}", invalid));
  }
  Json object;
  try {
    object = Json::parse(line.text, CheckedJson<Json>(kMostKeys));
  } catch (const typename Json::parse_error& error) {
    throw DataError(fmt::format("not JSON: there is a mistake at byte {}", error.byte));
  } catch (const typename Json::exception& error) {
    throw DataError(fmt::format("not JSON: {}", error.what()));
  } catch (const std::invalid_argument& error) {
    throw DataError(error.what());
  }
  if (!object.is_object()) throw DataError("expected a JSON object");
  return object;
}

}  // namespace terse::data
