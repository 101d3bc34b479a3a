// Versions of everything that terse is made of or can use.
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

// Libraries this program was built with, as loaded.
std::vector<Library> linked_libraries();
// MPI and NCCL, which are looked for on this machine. Takes a fraction of a second.
std::vector<Library> optional_libraries();

// {"LibTorch": "2.11.0", ...}; null for a library that was not found.
nlohmann::json to_json(const std::vector<Library>& libraries);

// What was compiled: program version, commit (with "+changes" when the tree held uncommitted ones), compiler and build
// type.
struct Build {
  std::string version, commit, compiler, type;
  bool dirty = false;
};
Build build();
// "3f2c1ab", or "3f2c1ab+changes", or "unknown" outside a git checkout.
std::string commit_text(const Build& build);

}  // namespace terse::launch
