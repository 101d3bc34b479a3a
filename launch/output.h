// How the program writes to standard output and standard error.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

namespace terse::launch {

// Opens /dev/null for those of the descriptors 0 to 2 that are closed, as daemons start programs. Otherwise the first
// files that are opened would get these numbers, and console lines would go into them. Comes before anything is opened.
void open_standard_descriptors();

namespace output {
void result(const std::string& text);
void say(const std::string& text);
void warn(const std::string& text);
}  // namespace output

// A result, to standard output. A failed write throws DiskError, except where the reader has gone away
// (EPIPE): then the command goes on for its exit code, and the text is dropped.
template <typename... Args>
void print_result(fmt::format_string<Args...> format, Args&&... args) {
  output::result(fmt::format(format, std::forward<Args>(args)...));
}
// Writes out what print_result() has buffered. Throws as it does.
void flush_results();

// Messages for people who look on, to standard output and to standard error. A failed write is ignored, because a run
// whose terminal has gone away must not end because of it.
template <typename... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  output::say(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  output::warn(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace terse::launch
