// Defines the callback through which a long read reports its progress.
#pragma once

#include <cstdint>
#include <functional>

namespace terse {

// The reader calls it every few MiB. It passes bytes of a text, or tokens of a store. The callback may throw to abort
// the read.
using Progress = std::function<void(int64_t done, int64_t total)>;

}  // namespace terse
