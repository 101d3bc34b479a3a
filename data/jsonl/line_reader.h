// Reads the lines of a file of any size. Lines without end take no memory.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace terse::data {

constexpr size_t kMaxLineBytes = size_t{64} << 20;  // of a line of JSON Lines

struct TextLine {
  int64_t number = 0;     // from 1
  std::string text;       // without the newline
  bool too_long = false;  // it has more than the largest number of bytes; `text` is empty
};

inline bool is_blank(const TextLine& line) {
  return !line.too_long && line.text.find_first_not_of(" \t\r") == std::string::npos;
}

class LineReader {
 public:
  // Throws DataError when the file is missing or is not a regular file, and DiskError when it cannot be read. So does
  // next().
  explicit LineReader(const std::filesystem::path& path, size_t max_line_bytes = kMaxLineBytes);

  // Reads the next line. Returns false at the end of the file. The mark at the start of a UTF-8 file (BOM) belongs to
  // no line.
  bool next(TextLine& line);

  int64_t bytes_read() const { return bytes_read_; }
  int64_t file_bytes() const { return file_bytes_; }

 private:
  bool fill();

  std::string path_;
  size_t max_line_bytes_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;  // unread bytes of the buffer
  int64_t number_ = 0;
  int64_t bytes_read_ = 0;
  int64_t file_bytes_ = 0;
};

}  // namespace terse::data
