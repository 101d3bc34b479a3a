// Provides helpers for the tests of configs/: they load configurations from text or temporary files, and return the
// message of a refused one.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "configs/load.h"
#include "tests/support/temporary_folder.h"

namespace terse::configs {

// The smallest valid file. A line appended to it has number 4.
inline const std::string kValid = "stages: [sft]\nsft:\n  steps: 10\n";

// Returns the message of a configuration that must be refused. If it is accepted, the test fails and the result is "".
inline std::string refusal(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  try {
    load_text(yaml, "my.yaml", overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "accepted:\n" << yaml;
  return "";
}

inline std::string refusal_of_file(const std::filesystem::path& path, const std::vector<std::string>& overrides = {}) {
  try {
    load(path.string(), overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << path;
  return "";
}

inline RunConfig accepted(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return load_text(yaml, "my.yaml", overrides).config;
}

inline std::filesystem::path write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

inline std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline const std::filesystem::path kSource = TERSE_SOURCE_DIR;

}  // namespace terse::configs
