// Records the syncs and renames of a test program in their order. The linker option --wrap puts the functions below
// between terse and libc (see tests/CMakeLists.txt). Only one file of a test program may include this header.
#pragma once

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

namespace terse::support {

// Records events during its lifetime: "sync file of 12 bytes", "sync folder runs", "rename to config.yaml".
class DiskEvents {
 public:
  // `failing`: the index of the sync that fails with EIO; -1: none.
  explicit DiskEvents(int failing = -1) : failing_(failing) { current() = this; }
  ~DiskEvents() { current() = nullptr; }
  DiskEvents(const DiskEvents&) = delete;
  DiskEvents& operator=(const DiskEvents&) = delete;

  static DiskEvents*& current() {
    static DiskEvents* events = nullptr;  // null: nothing is recorded
    return events;
  }
  // Whether the sync that has just been recorded must fail. Counts the syncs.
  bool fails() { return syncs_++ == failing_; }

  std::vector<std::string> seen;

 private:
  int failing_;
  int syncs_ = 0;
};

}  // namespace terse::support

extern "C" {

int __real_fsync(int fd);
int __real_rename(const char* from, const char* to);

int __wrap_fsync(int fd) {
  terse::support::DiskEvents* events = terse::support::DiskEvents::current();
  if (events == nullptr) return __real_fsync(fd);
  const auto path = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", fd));
  struct stat status = {};
  fstat(fd, &status);
  events->seen.push_back(S_ISDIR(status.st_mode) ? "sync folder " + path.filename().string()
                                                 : fmt::format("sync file of {} bytes", status.st_size));
  if (events->fails()) {
    errno = EIO;
    return -1;
  }
  return __real_fsync(fd);
}

int __wrap_rename(const char* from, const char* to) {
  if (auto* events = terse::support::DiskEvents::current())
    events->seen.push_back("rename to " + std::filesystem::path(to).filename().string());
  return __real_rename(from, to);
}

}  // extern "C"
