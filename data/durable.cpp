// Temporary name, fsync, rename, fsync of the folder.
#include "data/durable.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "data/errors.h"

namespace terse::data {

namespace {

[[noreturn]] void refuse(const char* what, const std::filesystem::path& path) {
  throw DiskError(fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(errno)), errno);
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    if (fd_ < 0) refuse("open", path);
  }
  ~Descriptor() { ::close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

void sync(const std::filesystem::path& path, int flags) {
  const Descriptor file(path, flags);
  if (::fsync(file.get()) == 0) return;
  // SMB shares and some FUSE mounts have no sync for folders; there is nothing more to ask for.
  if ((flags & O_DIRECTORY) != 0 && errno == EINVAL) return;
  refuse("sync", path);
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

TemporaryFile::TemporaryFile(const std::filesystem::path& path) : final_(path) {
  // Unique among processes and threads, so that ranks may build the same file side by side.
  static std::atomic<int> counter = 0;
  temporary_ = fmt::format("{}.{}.{}.tmp", path.string(), ::getpid(), counter++);
  create_folders(folder_of(path));
}

TemporaryFile::~TemporaryFile() {
  std::error_code ignored;
  if (!temporary_.empty()) std::filesystem::remove(temporary_, ignored);
}

void TemporaryFile::publish() {
  sync(temporary_, O_RDONLY);
  if (::rename(temporary_.c_str(), final_.c_str()) != 0) refuse("write", final_);
  temporary_.clear();
  sync_folder(folder_of(final_));
}

void create_folders(const std::filesystem::path& folder) {
  std::error_code error;
  if (folder.empty() || std::filesystem::is_directory(folder, error)) return;
  create_folders(folder.parent_path());
  std::filesystem::create_directory(folder, error);
  if (error)
    throw DiskError(fmt::format("cannot create the folder {}: {}", folder.string(), error.message()), error.value());
  sync_folder(folder_of(folder));
}

void sync_folder(const std::filesystem::path& folder) {
  sync(folder, O_RDONLY | O_DIRECTORY);
}

void write_durably(const std::filesystem::path& path, std::string_view content) {
  TemporaryFile temporary(path);
  {
    const Descriptor file(temporary.path(), O_WRONLY | O_CREAT | O_TRUNC);
    while (!content.empty()) {
      const ssize_t written = ::write(file.get(), content.data(), content.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) refuse("write", path);
      content.remove_prefix(static_cast<size_t>(written));
    }
  }
  temporary.publish();
}

}  // namespace terse::data
