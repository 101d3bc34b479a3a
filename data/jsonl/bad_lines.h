// The lines of JSON Lines files that cannot be used. A run leaves them out, counts them and writes them down.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace terse::data {

constexpr const char* kBadLinesFile = "bad_lines.jsonl";  // in the folder `data` of a run

struct BadLine {
  int64_t line = 0;  // number, from 1
  std::string reason;
};

// The bad lines of one file.
class BadLines {
 public:
  explicit BadLines(std::string file) : file_(std::move(file)) {}

  const std::string& file() const { return file_; }
  int64_t lines() const { return lines_; }                    // of the file, without blank ones
  int64_t count() const { return count_; }                    // bad ones
  const std::vector<BadLine>& kept() const { return kept_; }  // the first kMaxKept of them

  void add_good() { ++lines_; }
  void add(int64_t line, const std::string& reason);

 private:
  static constexpr size_t kMaxKept = 10000;

  std::string file_;
  std::vector<BadLine> kept_;
  int64_t lines_ = 0;
  int64_t count_ = 0;
};

// Writes the lines to `path` as {"file", "line", "reason"}, in place of those that it has of the same file. If there
// are more than were kept, a last entry has {"file", "more"}. Changes nothing when there is no bad line now or before.
// Throws DiskError.
void write_bad_lines(const std::filesystem::path& path, const BadLines& bad);

// Throws DataError when more than the share `most` of `lines` lines are bad. The message names the file and its first
// bad lines, which it reads from `path`.
void require_few_bad_lines(const std::string& file, int64_t lines, int64_t bad, double most,
                           const std::filesystem::path& path);

// "3 of 100 lines of FILE are bad and were left out; PATH tells why"
std::string bad_lines_note(const std::string& file, int64_t lines, int64_t bad, const std::filesystem::path& path);

}  // namespace terse::data
