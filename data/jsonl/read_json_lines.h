// Reads JSON Lines files of any size, and works on their lines in several threads.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "data/jsonl/bad_lines.h"

namespace terse::data {

struct LineWork {
  // Prepares for the next `lines` lines.
  std::function<void(size_t lines)> begin;
  // Makes a value of the object in line `index` of them. Called by several threads. A DataError or EncodeError makes
  // the line a bad one.
  std::function<void(size_t index, const nlohmann::ordered_json& object)> parse;
  // Called for the good lines after that, in the order of the file.
  std::function<void(size_t index)> use;
};

// Passes each line of `path` to `work`, and the bad ones to `bad`. A line is bad when it is longer than kMaxLineBytes,
// or is refused by parse_object() or work.parse. Blank lines are skipped. Throws DataError and DiskError when the file
// cannot be read. `progress` gets bytes.
void work_on_json_lines(const std::filesystem::path& path, const Progress& progress, const LineWork& work,
                        BadLines& bad);

// Does the same for values of one type: use(parse(object)) for each line, with parse() in several threads.
template <typename Value>
void read_json_lines(const std::filesystem::path& path, const Progress& progress,
                     const std::function<Value(const nlohmann::ordered_json&)>& parse,
                     const std::function<void(Value)>& use, BadLines& bad) {
  std::vector<std::optional<Value>> values;
  work_on_json_lines(path, progress,
                     {[&](size_t lines) {
                        values.clear();
                        values.resize(lines);
                      },
                      [&](size_t index, const nlohmann::ordered_json& object) { values[index] = parse(object); },
                      [&](size_t index) { use(std::move(*values[index])); }},
                     bad);
}

// A document of a JSON Lines file: the value of "text". Throws DataError when it is missing, no text, or empty.
std::string document_text(const nlohmann::ordered_json& object);

}  // namespace terse::data
