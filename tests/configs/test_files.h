// Provides helpers for the tests of configs/: they load configurations from text or temporary files, and return the
// message of a refused one.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "configs/load.h"
#include "configs/task_catalog.h"
#include "tests/support/temporary_folder.h"

namespace terse::configs {

// The smallest valid file. A line appended to it has number 4.
inline const std::string kValid = "stages: [sft]\nsft:\n  steps: 10\n";

// Defaults with two tasks that declare an option of each type, and a rule between two of them.
inline const RunConfig& toy_defaults() {
  static const RunConfig defaults = [] {
    TaskCatalog catalog;
    catalog.names = {"toy", "other"};
    catalog.forms = {"verbose", "compact", "states", "direct"};
    catalog.options = {{"fewest", int64_t{1}, "smallest number of steps", between(1, 1000)},
                       {"most", int64_t{8}, "largest number of steps", between(1, 1000)},
                       {"hint", true, "show a hint"},
                       {"noise", 0.5, "share of noise", between(0, 1)},
                       {"style", std::string("plain"), "style of the questions", one_of({"plain", "fancy"})}};
    catalog.check = [](const Task& task, std::vector<Violation>& out) {
      const auto fewest = task.options.get<int64_t>("fewest"), most = task.options.get<int64_t>("most");
      if (fewest > most)
        out.push_back({{"task.fewest", "task.most"}, fmt::format("is {}, above task.most {}", fewest, most)});
    };
    RunConfig config;
    config.task.name = "toy";
    config.task.options = TaskOptions(std::make_shared<const TaskCatalog>(std::move(catalog)));
    return config;
  }();
  return defaults;
}

// Returns the message of a configuration that must be refused. If it is accepted, the test fails and the result is "".
inline std::string refusal(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  try {
    load_text(yaml, "my.yaml", overrides, InputFiles::kMustExist, toy_defaults());
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "accepted:\n" << yaml;
  return "";
}

inline std::string refusal_of_file(const std::filesystem::path& path, const std::vector<std::string>& overrides = {}) {
  try {
    load(path.string(), overrides, InputFiles::kMustExist, toy_defaults());
  } catch (const ConfigError& error) {
    return error.what();
  }
  ADD_FAILURE() << "accepted: " << path;
  return "";
}

inline RunConfig accepted(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return load_text(yaml, "my.yaml", overrides, InputFiles::kMustExist, toy_defaults()).config;
}

// Reads a file whose input files may be missing.
inline LoadedConfig loosely_loaded(const std::string& yaml, const std::vector<std::string>& overrides = {}) {
  return load_text(yaml, "my.yaml", overrides, InputFiles::kMayBeMissing, toy_defaults());
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
