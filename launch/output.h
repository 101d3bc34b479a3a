// How the program writes to standard output and standard error.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <utility>

namespace terse::launch {

// Opens /dev/null for each of the descriptors 0 to 2 that is closed: some daemons start programs this way. Otherwise
// the next files to be opened would get these numbers, and console output would end up in them. Call it before anything
// else is opened.
void open_standard_descriptors();

namespace output {
void result(const std::string& text);
void say(const std::string& text);
void warn(const std::string& text);
}  // namespace output

// Writes a result to standard output. Throws DiskError when the write fails. A pipe whose reader has gone away (EPIPE)
// is no failure: the text is discarded, and the command continues to its exit code.
template <typename... Args>
void print_result(fmt::format_string<Args...> format, Args&&... args) {
  output::result(fmt::format(format, std::forward<Args>(args)...));
}
// Flushes what print_result() has buffered. Throws as print_result() does.
void flush_results();

// Write messages for people: say() to standard output, warn() to standard error. A failed write is ignored, because a
// run must not end when its terminal has gone away.
template <typename... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  output::say(fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  output::warn(fmt::format(format, std::forward<Args>(args)...));
}

// Updates a progress line of bytes on a terminal, on standard error. Prints nothing elsewhere.
void show_progress(int64_t done, int64_t total);

}  // namespace terse::launch
