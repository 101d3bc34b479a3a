// Implements FileSystem with system calls, and retries those that a signal interrupts. Every error names the operation,
// the path and the system's reason.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include "base/descriptor.h"
#include "base/file_system.h"

namespace terse {

namespace {

[[noreturn]] void fail(const char* what, const FileSystem::Path& path, int error) {
  throw DiskError(fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(error)), error);
}

EntryKind kind_of(const struct stat& info) {
  if (S_ISREG(info.st_mode)) return EntryKind::kFile;
  if (S_ISDIR(info.st_mode)) return EntryKind::kFolder;
  if (S_ISLNK(info.st_mode)) return EntryKind::kSymlink;
  return EntryKind::kOther;
}

class PosixFile : public OutputFile {
 public:
  PosixFile(int fd, FileSystem::Path path) : fd_(fd), path_(std::move(path)) {}

  void write(std::string_view bytes) override {
    const int error = write_all(fd_.get(), bytes);
    if (error != 0) fail("write", path_, error);
  }

  // A failed fsync must not be repeated: the kernel has dropped the pages, and the second call would report success.
  void sync() override {
    if (retry([&] { return ::fsync(fd_.get()); }) < 0) fail("sync", path_, errno);
  }

  // The descriptor is gone whatever close() returns, so an interrupted close is not repeated.
  void close() override {
    if (::close(fd_.release()) < 0 && errno != EINTR) fail("close", path_, errno);
  }

 private:
  Descriptor fd_;
  FileSystem::Path path_;
};

class PosixFileSystem : public FileSystem {
 public:
  std::unique_ptr<OutputFile> create(const Path& path) override {
    const int fd = retry([&] { return ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666); });
    if (fd < 0) fail("create", path, errno);
    return std::make_unique<PosixFile>(fd, path);
  }

  void make_folder(const Path& path) override {
    if (::mkdir(path.c_str(), 0777) < 0) fail("create folder", path, errno);
  }

  void sync_file(const Path& path) override {
    const Descriptor fd(retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); }));
    if (fd.get() < 0) fail("open", path, errno);
    if (retry([&] { return ::fsync(fd.get()); }) < 0) fail("sync", path, errno);
  }

  void sync_folder(const Path& path) override {
    const Descriptor fd(retry([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
    if (fd.get() < 0) fail("open folder", path, errno);
    // EINVAL means that this file system cannot sync folders. That is no error, because nothing more can be done.
    if (retry([&] { return ::fsync(fd.get()); }) < 0 && errno != EINVAL) fail("sync folder", path, errno);
  }

  void rename(const Path& from, const Path& to) override {
    if (::rename(from.c_str(), to.c_str()) < 0) fail("rename", from.string() + " to " + to.string(), errno);
  }

  bool exchange(const Path& a, const Path& b) override {
    if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0) return true;
    if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) return false;
    fail("exchange", a.string() + " and " + b.string(), errno);
  }

  void remove(const Path& path) override {
    if (std::remove(path.c_str()) < 0) fail("remove", path, errno);
  }

  std::string read(const Path& path, uint64_t max_bytes) override;
  std::vector<Entry> list(const Path& path) override;

  EntryKind kind(const Path& path) override {
    struct stat info;
    if (::lstat(path.c_str(), &info) == 0) return kind_of(info);
    if (errno == ENOENT) return EntryKind::kNone;
    fail("stat", path, errno);
  }

  uint64_t free_bytes(const Path& path) override {
    struct statvfs info;
    if (retry([&] { return ::statvfs(path.c_str(), &info); }) < 0) fail("determine the free space of", path, errno);
    // Some FUSE file systems do not count blocks, so their free space is unknown. Only a write shows whether there is
    // space.
    if (info.f_blocks == 0) return std::numeric_limits<uint64_t>::max();
    return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  }

  void require_writable(const Path& folder) override {
    struct stat info;
    if (::stat(folder.c_str(), &info) < 0) fail("stat", folder, errno);
    if (!S_ISDIR(info.st_mode)) fail("write to", folder, ENOTDIR);
    if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) < 0) fail("write to", folder, errno);
  }
};

std::string PosixFileSystem::read(const Path& path, uint64_t max_bytes) {
  // O_NONBLOCK keeps open() from blocking on a named pipe.
  const Descriptor fd(retry([&] { return ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); }));
  if (fd.get() < 0) fail("open", path, errno);
  struct stat info;
  if (::fstat(fd.get(), &info) < 0) fail("stat", path, errno);
  if (!S_ISREG(info.st_mode)) throw DiskError(fmt::format("cannot read {}: it is not a regular file", path.string()));
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > max_bytes) {
    throw DiskError(fmt::format("cannot read {}: its size is {}, expected at most {}", path.string(),
                                format_bytes(size), format_bytes(max_bytes)));
  }
  std::string bytes(size, '\0');
  size_t at = 0;
  while (at < size) {
    const ssize_t got = retry([&] { return ::read(fd.get(), bytes.data() + at, size - at); });
    if (got < 0) fail("read", path, errno);
    if (got == 0) break;  // The file shrank meanwhile. The caller compares the sizes.
    at += static_cast<size_t>(got);
  }
  bytes.resize(at);
  return bytes;
}

std::vector<Entry> PosixFileSystem::list(const Path& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  if (!folder) fail("list", path, errno);
  std::vector<Entry> entries;
  while (true) {
    errno = 0;
    const dirent* next = ::readdir(folder.get());
    if (next == nullptr) break;
    const std::string name = next->d_name;
    if (name == "." || name == "..") continue;
    struct stat info;
    if (::fstatat(::dirfd(folder.get()), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) < 0) {
      if (errno == ENOENT) continue;  // removed meanwhile
      fail("stat", path / name, errno);
    }
    entries.push_back({name, kind_of(info), static_cast<uint64_t>(info.st_size)});
  }
  if (errno != 0) fail("list", path, errno);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
  return entries;
}

}  // namespace

std::shared_ptr<FileSystem> posix_file_system() {
  return std::make_shared<PosixFileSystem>();
}

}  // namespace terse
