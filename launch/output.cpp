// Handles each failed write at once, while errno still holds the cause.
#include "launch/output.h"

#include <fcntl.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/errors.h"
#include "launch/text.h"

namespace terse::launch {
namespace {

// Discards the buffered text of a stream, so that a later flush does not fail again.
void drop(std::FILE* stream) {
  ::__fpurge(stream);
  std::clearerr(stream);
}

void refused(int error) {
  drop(stdout);
  if (error == EPIPE) return;  // the reader went away on purpose
  // EBADF: the user opened standard output for reading only. The number is left out, because system_errors.cpp would
  // classify it as a bug.
  throw DiskError(fmt::format("cannot write to standard output: {}", std::strerror(error)), error == EBADF ? 0 : error);
}

void write_quietly(std::FILE* stream, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  if (std::fflush(stream) != 0) drop(stream);
}

}  // namespace

void open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    // open() returns the lowest free descriptor, which is `fd`.
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) [[maybe_unused]]
      const int opened = ::open("/dev/null", O_RDWR);
  }
}

void output::result(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) refused(errno);
}

void flush_results() {
  if (std::fflush(stdout) != 0) refused(errno);
}

void output::say(const std::string& text) {
  write_quietly(stdout, text);
}

void output::warn(const std::string& text) {
  write_quietly(stderr, text);
}

void show_progress(int64_t done, int64_t total) {
  if (isatty(STDERR_FILENO) == 0) return;
  const double percent = total > 0 ? 100.0 * static_cast<double>(done) / static_cast<double>(total) : 100.0;
  warn("\r{} of {} ({:.0f}%) {}", byte_size(done), byte_size(total), percent, done >= total ? "\n" : "");
}

}  // namespace terse::launch
