// A callback by which a long reading reports its progress.
#pragma once

#include <cstdint>
#include <functional>

namespace terse {

// Called every few MiB with bytes (of text) or tokens (of a store). It may throw in order to end the reading.
using Progress = std::function<void(int64_t done, int64_t total)>;

}  // namespace terse
