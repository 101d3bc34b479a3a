// flock belongs to the open file, so the kernel releases it when the process ends. The text in the file only shows
// people who holds the lock.
#include "launch/run/run_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "base/clock.h"
#include "configs/load.h"
#include "launch/exit_codes.h"
#include "launch/machine/host.h"

namespace terse::launch {
namespace {

std::string read_all(int fd) {
  std::array<char, 4096> text{};
  const ssize_t size = pread(fd, text.data(), text.size(), 0);
  return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : "";
}

// Returns "process 4711 on node3 (since 2026-11-21T07:15:48Z)", or "another process" when the file does not name the
// holder.
std::string describe_holder(int fd) {
  const auto holder = nlohmann::json::parse(read_all(fd), nullptr, /*allow_exceptions=*/false);
  if (!holder.is_object()) return "another process";
  try {
    return fmt::format("process {} on {} (since {})", holder.at("pid").get<int64_t>(),
                       holder.at("host").get<std::string>(), holder.at("start").get<std::string>());
  } catch (const nlohmann::json::exception&) {
    return "another process";
  }
}

void write_holder(int fd) {
  const std::string text = nlohmann::json{{"pid", getpid()}, {"host", host_name()}, {"start", utc_now()}}.dump() + "\n";
  // A failed write is ignored: a full disk must not keep a run from resuming, and the lock itself needs no space.
  if (ftruncate(fd, 0) == 0) [[maybe_unused]]
    const ssize_t written = pwrite(fd, text.data(), text.size(), 0);
}

}  // namespace

RunLock::RunLock(const std::filesystem::path& dir) : fd_(-1) {
  const std::filesystem::path path = dir / "lock";
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0)
    throw ConfigError(
        fmt::format("cannot write into the run folder {}: {}: {}. Choose another with --run-dir or correct its "
                    "permissions.",
                    dir.string(), path.string(), std::strerror(errno)));
  int status = 0;
  while ((status = flock(fd_, LOCK_EX | LOCK_NB)) != 0 && errno == EINTR) {
  }
  if (status == 0) {
    write_holder(fd_);
    return;
  }
  const int reason = errno;
  const std::string holder = describe_holder(fd_);
  close(std::exchange(fd_, -1));
  if (reason != EWOULDBLOCK)
    throw ConfigError(
        fmt::format("cannot lock {}: {}. The file system of a run folder must support flock; choose another "
                    "folder with --run-dir.",
                    path.string(), std::strerror(reason)));
  throw UsageError(
      fmt::format("the run folder {} is in use by {}. Wait for it or stop it, or choose another folder with --run-dir.",
                  dir.string(), holder));
}

RunLock::~RunLock() {
  if (fd_ >= 0) close(fd_);
}

RunLock::RunLock(RunLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

bool RunLock::held(const std::filesystem::path& dir) {
  const int fd = open((dir / "lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool free = flock(fd, LOCK_SH | LOCK_NB) == 0;
  close(fd);
  return !free;
}

}  // namespace terse::launch
