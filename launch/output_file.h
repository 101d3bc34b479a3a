// Checks where a command may write its output: never over its input, and never over a file of another kind.
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
  std::function<bool(const std::filesystem::path&)> is_of_kind;  // true for a file of that kind; otherwise it may throw
  bool overwrite = false;  // whether an existing file of that kind may be replaced
};

// Throws UsageError when the path is empty or a folder, when it is one of the inputs (by any name or link), when the
// file exists and may not be replaced, or when its parent folder does not exist.
void require_output(const OutputFile& output);

}  // namespace terse::launch
