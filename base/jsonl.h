// Reads a file of JSON objects, one a line (JSON Lines), in whatever state somebody else has left it.
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

  // Goes on to the next line. Returns false behind the last one.
  bool next();

  int64_t number() const { return number_; }  // of the line, from 1
  const std::string& text() const { return text_; }
  bool is_object() const { return object_.is_object(); }
  const nlohmann::json& object() const { return object_; }
  // Whether the line has no end and is no object: the process that wrote the file was killed in the middle of it.
  bool is_torn() const { return stream_.eof() && !is_object(); }

 private:
  std::ifstream stream_;
  std::string text_;
  nlohmann::json object_;
  int64_t number_ = 0;
};

}  // namespace terse
