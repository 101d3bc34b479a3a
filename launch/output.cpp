// A failed write is dealt with where it happens, while errno still tells what it was.
#include "launch/output.h"

#include <fcntl.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "configs/errors.h"

namespace terse::launch {
namespace {

[[noreturn]] void fail(int error) {
  if (error == EPIPE) throw std::system_error(error, std::generic_category(), "standard output");
  // EBADF: it was opened for reading only. That is no bug, so the message goes without the number.
  throw configs::DiskError(fmt::format("cannot write to standard output: {}", std::strerror(error)),
                           error == EBADF ? 0 : error);
}

// Drops text that cannot be written. If it stayed in the buffer, the flush at the end would fail again.
void flush_or_drop(std::FILE* stream) {
  if (std::fflush(stream) == 0) return;
  ::__fpurge(stream);
  std::clearerr(stream);
}

void write_quietly(std::FILE* stream, const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  flush_or_drop(stream);
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
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) fail(errno);
}

void flush_results() {
  if (std::fflush(stdout) != 0) fail(errno);
}

void output::say(const std::string& text) {
  write_quietly(stdout, text);
}

void output::warn(const std::string& text) {
  write_quietly(stderr, text);
}

}  // namespace terse::launch
