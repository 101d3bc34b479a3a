// Lets only one process at a time use a run folder.
#pragma once

#include <filesystem>

namespace terse::launch {

// Holds `dir`/lock (flock) until the object is destroyed or the process ends, however it ends. So the lock of a dead
// process never blocks. The file holds {"pid", "host", "start"} of the latest holder and stays behind.
class RunLock {
 public:
  // Throws UsageError naming the holder when another process holds the lock. Throws ConfigError when the file cannot be
  // opened or its file system has no flock.
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
