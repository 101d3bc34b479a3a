// Reads a configuration file and the chain of files that its `base:` names.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "configs/yaml/mistake.h"
#include "configs/yaml/yaml_tree.h"

namespace terse::configs {

struct SourceFile {
  std::string name;              // as the user would name it
  std::filesystem::path folder;  // `base` and input files may be relative to it
  NodePtr root;                  // a map; null when the file could not be used
};

struct SourceChain {
  std::vector<SourceFile> files;  // nearest first
  bool complete = true;           // false: a file of the chain is missing or unusable, so values may be missing too
};

// Reads a file and its base files, and appends every mistake to `mistakes`.
SourceChain read_chain(const std::string& path, Mistakes& mistakes);
// Does the same for a text in memory. Its `base` is relative to the folder of `name`.
SourceChain read_chain(std::string_view text, const std::string& name, Mistakes& mistakes);

// Returns a hint for a `path` that does not exist, e.g. "; did you mean configs/quickstart.yaml?". It searches the same
// folder for a similar name. Returns "" when there is nothing to suggest.
std::string nearest_file_hint(const std::filesystem::path& path);

}  // namespace terse::configs
