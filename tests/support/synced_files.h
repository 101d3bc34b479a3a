// Records which files and folders this program has synced. The fsync and fdatasync below replace those of libc, and
// call the system. Only one file of a test program may include this header.
#pragma once

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <mutex>
#include <set>
#include <utility>

namespace terse::support {

class SyncedFiles {
 public:
  static SyncedFiles& all() {
    static SyncedFiles files;
    return files;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    files_.clear();
  }
  void add(int fd) {
    struct stat info {};
    const std::lock_guard lock(mutex_);  // checkpoints are written in the background
    if (::fstat(fd, &info) == 0) files_.insert({info.st_dev, info.st_ino});
  }
  // Whether the file or folder at this path has been synced.
  bool contain(const std::filesystem::path& path) {
    struct stat info {};
    const std::lock_guard lock(mutex_);
    return ::stat(path.c_str(), &info) == 0 && files_.contains({info.st_dev, info.st_ino});
  }

 private:
  std::mutex mutex_;
  std::set<std::pair<dev_t, ino_t>> files_;
};

}  // namespace terse::support

extern "C" int fsync(int fd) {
  terse::support::SyncedFiles::all().add(fd);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
extern "C" int fdatasync(int fd) {
  terse::support::SyncedFiles::all().add(fd);
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}
