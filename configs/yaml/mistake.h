// Describes one mistake in a configuration and its place.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

namespace terse::configs {

struct Mark {
  int line = 0;  // from 1; 0: no line
  int column = 0;
};

struct Mistake {
  std::string source;  // file as the user would name it, or "--set a.b=c"
  Mark mark;
  std::string text;

  std::string str() const {
    if (mark.line == 0) return fmt::format("{}: {}", source, text);
    return fmt::format("{}:{}:{}: {}", source, mark.line, mark.column, text);
  }
};

using Mistakes = std::vector<Mistake>;

}  // namespace terse::configs
