// The destructor calls close() once and never retries it: the descriptor is released whatever close() returns.
#include "base/descriptor.h"

#include <unistd.h>

#include <cerrno>

namespace terse {

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

bool was_interrupted() {
  return errno == EINTR;
}

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = retry([&] { return ::write(fd, bytes.data(), bytes.size()); });
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

}  // namespace terse
