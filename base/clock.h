// Measures elapsed time, and formats the current time for files.
#pragma once

#include <chrono>
#include <string>

namespace terse {

// Returns the seconds that have passed since `then`.
inline double seconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

// Returns the current time in UTC: "2026-11-21T07:15:48Z".
std::string utc_now();

}  // namespace terse
