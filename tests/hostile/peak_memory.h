// Measures how much memory a piece of code holds at most: the bytes of all live blocks of malloc(), which operator new,
// posix_memalign() and the libraries in C use, too. peak_memory.cpp counts them in this program only.
//
// Mapped memory does not count: the pages of a mapped file belong to the system, and PCRE2 maps what its just-in-time
// compiler makes of a pattern of at most 8 KiB.
#pragma once

#include <cstddef>

namespace terse::support {

// Counts from its construction on. One at a time; blocks of all threads count.
class PeakMemory {
 public:
  PeakMemory();
  // The most bytes that were live at once, beyond those that were live at the construction.
  size_t bytes() const;

 private:
  size_t before_;
};

}  // namespace terse::support
