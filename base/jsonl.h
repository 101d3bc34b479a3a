// Reads a file of JSON objects, one per line (JSON Lines). The file may be incomplete or damaged.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

namespace terse {

// Use: for (JsonlReader reader(path); reader.next();) ...
class JsonlReader {
 public:
  // A file that cannot be opened has no lines.
  explicit JsonlReader(const std::filesystem::path& path) : stream_(path, std::ios::binary) {}
  bool is_open() const { return stream_.is_open(); }

  // Reads the next line. Returns false after the last one.
  bool next();

  int64_t number() const { return number_; }  // of the line, from 1
  const std::string& text() const { return text_; }
  bool is_object() const { return object_.is_object(); }
  const nlohmann::json& object() const { return object_; }
  // Returns whether the line has no newline and is not an object. Then the process that wrote the file was killed in
  // the middle of this line.
  bool is_torn() const { return stream_.eof() && !is_object(); }

 private:
  std::ifstream stream_;
  std::string text_;
  nlohmann::json object_;
  int64_t number_ = 0;
};

}  // namespace terse
