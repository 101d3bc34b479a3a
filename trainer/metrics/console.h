// The terminal output of a run: permanent lines, and below them at most one live line that is redrawn in place.
#pragma once

#include <cstdio>
#include <mutex>
#include <string>

namespace terse::trainer {

// Thread-safe. Errors of the terminal are ignored: a closed terminal must not end a run.
class Console {
 public:
  explicit Console(std::FILE* stream = stderr);
  Console(std::FILE* stream, bool terminal) : stream_(stream), terminal_(terminal) {}
  ~Console() { end_live(); }
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // Whether the stream is a terminal that understands a carriage return. If not, live() must not be used.
  bool terminal() const { return terminal_; }

  void print(const std::string& line);  // a permanent line, above the live one
  void live(const std::string& line);   // replaces the live line; cut to the terminal's width
  void end_live();                      // ends the live line; later output starts below it

 private:
  std::string fitted(const std::string& line) const;

  std::FILE* stream_;
  bool terminal_;
  std::mutex mutex_;
  std::string live_;
};

}  // namespace terse::trainer
