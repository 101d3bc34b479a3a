// A failed write is dealt with where it happens, while errno still tells what it was.
#include "launch/output.h"

#include <fcntl.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/errors.h"

namespace terse::launch {
namespace {

// Drops what waits for a stream, so that a later flush does not fail again.
void drop(std::FILE* stream) {
  ::__fpurge(stream);
  std::clearerr(stream);
}

void refused(int error) {
  drop(stdout);
  if (error == EPIPE) return;  // the reader went away on purpose
  // EBADF: it was opened for reading only. That is no bug, so the message goes without the number.
  throw DiskError(fmt::format("cannot write to standard output: {}", std::strerror(error)), error == EBADF ? 0 : error);
}

void write_quietly(std::FILE* stream, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  if (std::fflush(stream) != 0) drop(stream);
}

}  // namespace

void open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    // The lowest number that is free is this one.
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

}  // namespace terse::launch
