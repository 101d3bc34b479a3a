// Formats the time with gmtime_r, which is safe to call from several threads.
#include "base/clock.h"

#include <array>
#include <ctime>

namespace terse {

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

}  // namespace terse
