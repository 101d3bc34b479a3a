// A configuration file and the chain of files that its `base:` names.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "configs/mistake.h"
#include "configs/yaml_tree.h"

namespace terse::configs {

struct SourceFile {
  std::string name;              // as the user would name it
  std::filesystem::path folder;  // what `base` and input files may be relative to
  NodePtr root;                  // a map; null when the file could not be used
};

struct SourceChain {
  std::vector<SourceFile> files;  // nearest first
  bool complete = true;           // false: a file of the chain is missing or unusable, so values may be missing too
};

SourceChain read_chain(const std::string& path, Mistakes& mistakes);
// The same for a text that is in memory; `base` is relative to the folder of `name`.
SourceChain read_chain(std::string_view text, const std::string& name, Mistakes& mistakes);

// "; did you mean configs/quickstart.yaml?" when `path` does not exist and a similar name does, in the same folder.
std::string nearest_file_hint(const std::filesystem::path& path);

}  // namespace terse::configs
