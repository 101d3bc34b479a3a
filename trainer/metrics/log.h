// A run's messages for people: lines with a time stamp on the console and in log.txt.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>

#include "trainer/metrics/console.h"

namespace terse::trainer {

// Thread-safe. A log file that cannot be written is reported once on the console and then ignored: a message must not
// end a run.
class Log {
 public:
  // Appends to `file`, and begins a new line when an earlier process left an incomplete one. With an empty path it
  // writes to the console only. `console` must outlive the log.
  explicit Log(Console& console, const std::filesystem::path& file = {});
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void info(const std::string& text);
  void warn(const std::string& text);  // prefixed with "warning:"
  void file_only(const std::string& text);

  Console& console() { return console_; }

 private:
  void append(const std::string& line);

  Console& console_;
  std::mutex mutex_;
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace terse::trainer
