// A part of a text.
#pragma once

#include <cstddef>

namespace terse::data {

// The bytes [begin, end) of a text.
struct Span {
  size_t begin = 0;
  size_t end = 0;

  bool operator==(const Span&) const = default;
};

}  // namespace terse::data
