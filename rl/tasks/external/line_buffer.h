// Splits the bytes of a pipe into lines, and holds at most one line of a stated length.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace terse::rl {

class LineBuffer {
 public:
  explicit LineBuffer(size_t longest) : longest_(longest) {}

  // Calls `take` with each line that `bytes` completes, without its line break, until it returns false. Returns false
  // when a line is too long, or when `take` returned false; then nothing more can be added.
  template <class Take>
  bool add(std::string_view bytes, const Take& take) {
    for (;;) {
      const size_t end = bytes.find('\n');
      if (held_.size() + std::min(end, bytes.size()) > longest_) return false;
      held_ += bytes.substr(0, end);
      if (end == std::string_view::npos) return true;
      bytes.remove_prefix(end + 1);
      std::string line;
      line.swap(held_);
      if (!take(std::move(line))) return false;
    }
  }
  // Returns the line that has not been ended, and forgets it.
  std::string rest() { return std::exchange(held_, {}); }

 private:
  size_t longest_;
  std::string held_;
};

}  // namespace terse::rl
