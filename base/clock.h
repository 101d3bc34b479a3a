// Time that has passed, and time as files write it.
#pragma once

#include <chrono>
#include <string>

namespace terse {

inline double seconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

std::string utc_now();  // "2026-11-21T07:15:48Z"

}  // namespace terse
