// Each line is one write(), so a killed run leaves every line that it printed.
#include "trainer/metrics/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/descriptor.h"

namespace terse::trainer {
namespace {

std::string stamp(const char* format) {
  std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, format, &local));
}

// A full disk or a kill may have left an incomplete line. The next line must not continue it.
void end_torn_line(int fd) {
  const off_t size = ::lseek(fd, 0, SEEK_END);
  char last = '\n';
  if (size > 0 && ::pread(fd, &last, 1, size - 1) == 1 && last != '\n') [[maybe_unused]]
    const ssize_t ignored = ::write(fd, "\n", 1);  // if the disk refuses this, the next line reports it
}

}  // namespace

Log::Log(Console& console, const std::filesystem::path& file) : console_(console), path_(file) {
  if (path_.empty()) return;
  fd_ = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) console_.print(fmt::format("warning: cannot open {}: {}", path_.string(), std::strerror(errno)));
  if (fd_ >= 0) end_torn_line(fd_);
}

Log::~Log() {
  if (fd_ >= 0) ::close(fd_);
}

void Log::info(const std::string& text) {
  console_.print(stamp("%H:%M:%S ") + text);
  append(text);
}

void Log::warn(const std::string& text) {
  info("warning: " + text);
}

void Log::file_only(const std::string& text) {
  append(text);
}

void Log::append(const std::string& text) {
  std::lock_guard lock(mutex_);
  if (fd_ < 0) return;
  std::string line = stamp("%Y-%m-%d %H:%M:%S ") + text + "\n";
  const int error = write_all(fd_, line);
  if (error == 0) return;
  console_.print(
      fmt::format("warning: cannot write {}: {}; the run continues without it", path_.string(), std::strerror(error)));
  ::close(fd_);
  fd_ = -1;
}

}  // namespace terse::trainer
