// One process per run folder.
#pragma once

#include <filesystem>

namespace terse::launch {

// Holds `dir`/lock (flock) until destroyed or until the process ends, however it ends: a lock of a dead process never
// blocks. The file holds {"pid", "host", "start"} of the latest holder and stays behind.
class RunLock {
 public:
  // Throws UsageError naming the holder when another process has it, ConfigError when the file cannot be
  // opened.
  explicit RunLock(const std::filesystem::path& dir);
  ~RunLock();
  RunLock(RunLock&& other) noexcept;
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  RunLock& operator=(RunLock&&) = delete;

  // True when a live process holds the folder; creates nothing.
  static bool held(const std::filesystem::path& dir);

 private:
  int fd_;
};

}  // namespace terse::launch
