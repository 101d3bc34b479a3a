// Redraws the live line with a carriage return and "erase to end of line", the two controls that every terminal has.
#include "trainer/metrics/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace terse::trainer {
namespace {

bool is_terminal(std::FILE* stream) {
  const char* kind = std::getenv("TERM");
  return isatty(fileno(stream)) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

}  // namespace

Console::Console(std::FILE* stream) : Console(stream, is_terminal(stream)) {}

// A line that wraps could not be redrawn in place.
std::string Console::fitted(const std::string& line) const {
  winsize size{};
  if (ioctl(fileno(stream_), TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return line;
  return line.substr(0, size.ws_col - 1);
}

void Console::print(const std::string& line) {
  std::lock_guard lock(mutex_);
  if (!live_.empty()) std::fputs("\r\x1b[K", stream_);
  std::fputs((line + "\n").c_str(), stream_);
  if (!live_.empty()) std::fputs(fitted(live_).c_str(), stream_);
  std::fflush(stream_);
}

void Console::live(const std::string& line) {
  std::lock_guard lock(mutex_);
  live_ = line;
  std::fputs(("\r" + fitted(line) + "\x1b[K").c_str(), stream_);
  std::fflush(stream_);
}

void Console::end_live() {
  std::lock_guard lock(mutex_);
  if (live_.empty()) return;
  live_.clear();
  std::fputs("\n", stream_);
  std::fflush(stream_);
}

}  // namespace terse::trainer
