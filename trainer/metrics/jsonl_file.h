// A file of JSON lines that survives kills and full disks. It holds only whole lines, and can be truncated to an
// earlier position.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/descriptor.h"
#include "base/errors.h"

namespace terse::trainer {

// A line file (metrics.jsonl, ledger.jsonl, those in traces/) cannot be written. The message names the file and the
// cause.
class MetricsError : public DiskError {
 public:
  using DiskError::DiskError;
};

class JsonlFile {
 public:
  // Opens the file for appending, and creates it when missing. Truncates text after the last newline, which a killed
  // process left. Throws MetricsError.
  explicit JsonlFile(std::filesystem::path path);

  // Writes a line, given without its newline, straight to the system, so a killed process loses nothing. A line is
  // written completely or not at all. Throws MetricsError at the first failure of an outage; later failures are only
  // counted in lost().
  void append(const std::string& line);

  // Syncs the lines and the file's name to disk, so that a power failure does not lose them. Returns the position: the
  // bytes up to the end of the last line. Throws MetricsError.
  int64_t sync();

  // Truncates the file to `bytes`, a value of sync(). If the file is shorter or has no line end there, truncates it to
  // the last whole line before that. Returns the new size. Throws MetricsError.
  int64_t rewind(int64_t bytes);

  int64_t lost() const { return lost_; }  // lines that the current outage has lost

 private:
  void cut(int64_t bytes);
  int64_t last_line_end(int64_t limit) const;
  [[noreturn]] void fail(const char* what, int error) const;

  std::filesystem::path path_;
  Descriptor fd_;
  int64_t size_ = 0;
  int64_t lost_ = 0;
  bool name_is_on_disk_ = false;
};

}  // namespace terse::trainer
