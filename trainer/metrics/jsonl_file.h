// A file of JSON lines that survives kills and full disks: whole lines only, and positions to go back to.
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
  // Opens for appending, created when missing. What stands behind the last newline was torn by a kill and is cut off.
  // Throws MetricsError.
  explicit JsonlFile(std::filesystem::path path);

  // Hands the line (without newline) to the system at once: a killed process loses nothing. A line is written whole or
  // not at all. Throws MetricsError at the first failure of an outage; lines that fail after it are counted in lost().
  void append(const std::string& line);

  // Bytes up to the end of the last line, on disk, as is the file's name: a power loss does not take them back. Throws
  // MetricsError.
  int64_t sync();

  // Cuts the file to `bytes`, a value of sync(). A file that is shorter, or has no line end there, is cut to its last
  // whole line before; returns the size it has then. Throws MetricsError.
  int64_t rewind(int64_t bytes);

  int64_t lost() const { return lost_; }  // lines of the present outage

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
