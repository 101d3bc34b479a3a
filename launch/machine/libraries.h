// Finds the versions of all libraries that terse is built with or can use.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace terse::launch {

struct Library {
  std::string name;
  std::string version;  // "2.11.0"; empty: not found
  std::string note;     // what it is for when it is missing, or where it was found
};

// Returns the libraries that this program is linked with.
std::vector<Library> linked_libraries();
// Searches this machine for MPI and NCCL. Takes a fraction of a second.
std::vector<Library> optional_libraries();

// {"LibTorch": "2.11.0", ...}; null for a library that was not found.
nlohmann::json to_json(const std::vector<Library>& libraries);

// This build: program version, commit, compiler and build type. `dirty`: the tree held uncommitted changes.
struct Build {
  std::string version, commit, compiler, type;
  bool dirty = false;
};
Build build();
// Returns "3f2c1ab94e21", or "3f2c1ab94e21+changes" for a dirty tree, or "unknown" outside a git checkout.
std::string commit_text(const Build& build);

}  // namespace terse::launch
