// Each line is one write() without a buffer in the process.
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

#include "base/descriptor.h"
#include "base/durable.h"

namespace terse::trainer {

JsonlFile::JsonlFile(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = Descriptor(::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
  if (fd_.get() < 0) fail("open", errno);
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) fail("open", errno);
  size_ = static_cast<int64_t>(info.st_size);
  const int64_t whole = last_line_end(size_);
  if (whole != size_) cut(whole);
}

void JsonlFile::fail(const char* what, int error) const {
  throw MetricsError(fmt::format("cannot {} {}: {}", what, path_.string(), std::strerror(error)), error);
}

int64_t JsonlFile::last_line_end(int64_t limit) const {
  char block[4096];
  while (limit > 0) {
    const int64_t begin = std::max<int64_t>(0, limit - static_cast<int64_t>(sizeof block));
    const ssize_t got = retry([&] { return ::pread(fd_.get(), block, static_cast<size_t>(limit - begin), begin); });
    if (got != limit - begin) fail("read", got < 0 ? errno : EIO);
    const size_t newline = std::string_view(block, static_cast<size_t>(got)).rfind('\n');
    if (newline != std::string_view::npos) return begin + static_cast<int64_t>(newline) + 1;
    limit = begin;
  }
  return 0;
}

void JsonlFile::cut(int64_t bytes) {
  if (::ftruncate(fd_.get(), bytes) != 0) fail("truncate", errno);
  size_ = bytes;
}

void JsonlFile::append(const std::string& line) {
  const int error = write_all(fd_.get(), line + '\n');
  if (error == 0) {
    size_ += static_cast<int64_t>(line.size()) + 1;
    lost_ = 0;
    return;
  }
  // A partial line must not stay, because the next line would continue it. A pipe or a device cannot be truncated.
  [[maybe_unused]] const int ignored = ::ftruncate(fd_.get(), size_);
  if (lost_++ == 0) fail("write", error);
}

int64_t JsonlFile::sync() {
  if (::fdatasync(fd_.get()) != 0 && errno != EINVAL) fail("sync", errno);
  if (!name_is_on_disk_) {
    try {
      sync_name(path_);
    } catch (const DiskError& error) {
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
