// Unbuffered: one write() a line.
#include "trainer/metrics/jsonl_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "data/durable.h"
#include "data/errors.h"

namespace terse::trainer {
namespace {

// Writes all of `bytes`; returns 0 or the error.
int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

}  // namespace

JsonlFile::JsonlFile(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("open", errno);
  struct stat info {};
  if (::fstat(fd_, &info) != 0) fail("open", errno);
  size_ = static_cast<int64_t>(info.st_size);
  const int64_t whole = last_line_end(size_);
  if (whole != size_) cut(whole);
}

JsonlFile::~JsonlFile() {
  if (fd_ >= 0) ::close(fd_);
}

void JsonlFile::fail(const char* what, int error) const {
  throw MetricsError(fmt::format("cannot {} {}: {}", what, path_.string(), std::strerror(error)), error);
}

int64_t JsonlFile::last_line_end(int64_t limit) const {
  char block[4096];
  while (limit > 0) {
    const int64_t begin = std::max<int64_t>(0, limit - static_cast<int64_t>(sizeof block));
    const ssize_t got = ::pread(fd_, block, static_cast<size_t>(limit - begin), begin);
    if (got < 0 && errno == EINTR) continue;
    if (got != limit - begin) fail("read", got < 0 ? errno : EIO);
    const size_t newline = std::string_view(block, static_cast<size_t>(got)).rfind('\n');
    if (newline != std::string_view::npos) return begin + static_cast<int64_t>(newline) + 1;
    limit = begin;
  }
  return 0;
}

void JsonlFile::cut(int64_t bytes) {
  if (::ftruncate(fd_, bytes) != 0) fail("truncate", errno);
  size_ = bytes;
}

void JsonlFile::append(const std::string& line) {
  const int error = write_all(fd_, line + '\n');
  if (error == 0) {
    size_ += static_cast<int64_t>(line.size()) + 1;
    lost_ = 0;
    return;
  }
  // Half a line must not stay: the next one would continue it. Not every file can be cut (a pipe, a device).
  [[maybe_unused]] const int ignored = ::ftruncate(fd_, size_);
  if (lost_++ == 0) fail("write", error);
}

int64_t JsonlFile::sync() {
  if (::fdatasync(fd_) != 0 && errno != EINVAL) fail("sync", errno);
  if (!name_is_on_disk_) {
    try {
      data::sync_folder(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path("."));
    } catch (const data::DiskError& error) {
      throw MetricsError(error.what(), error.error());
    }
    name_is_on_disk_ = true;
  }
  return size_;
}

int64_t JsonlFile::rewind(int64_t bytes) {
  cut(last_line_end(std::clamp<int64_t>(bytes, 0, size_)));
  return size_;
}

}  // namespace terse::trainer
