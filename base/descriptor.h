// Owns file descriptors, and retries system calls that a signal interrupts.
#pragma once

#include <string_view>
#include <utility>

namespace terse {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }  // the caller closes it

 private:
  int fd_;
};

// Returns whether a signal interrupted the last system call of this thread.
bool was_interrupted();

// Repeats a system call while a signal interrupts it.
template <typename Call>
auto retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && was_interrupted());
  return result;
}

// Writes all of `bytes`. Returns 0, or the errno of the write that failed.
int write_all(int fd, std::string_view bytes);

}  // namespace terse
