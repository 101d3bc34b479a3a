// What a run says to people: timestamped lines on the console and in log.txt.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>

#include "trainer/metrics/console.h"

namespace terse::trainer {

// Safe to use from several threads. A log file that cannot be written is reported once on the console and then left
// alone: words must not end a run.
class Log {
 public:
  // Appends to `file`, on a line of its own whatever an earlier process left; an empty path means console only.
  // `console` must outlive the log.
  explicit Log(Console& console, const std::filesystem::path& file = {});
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void info(const std::string& text);
  void warn(const std::string& text);  // marked "warning:"
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
