// Where a command may write its output: never over its input, and never over a file that it did not make itself.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace terse::launch {

struct OutputFile {
  std::filesystem::path path;
  std::vector<std::filesystem::path> inputs = {};                // files that the command reads
  std::string kind;                                              // what it writes, as in "a token store"
  std::function<bool(const std::filesystem::path&)> is_of_kind;  // whether a file is one; may throw when it is not
  bool overwrite = false;                                        // one that is there already may be replaced
};

// Throws UsageError when the output is one of the inputs (by any name or link), is there already and may not be
// replaced, or has no folder to lie in.
void require_output(const OutputFile& output);

}  // namespace terse::launch
