// From a YAML file and --set overrides to a checked RunConfig, and back to text.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "configs/run_config.h"

namespace terse::configs {

// All mistakes of a configuration at once, ready to print; launch/main.cpp turns it into exit code 78.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct LoadedConfig {
  RunConfig config;
  // Where each value that is not a default came from, by dotted key: "configs/quickstart.yaml:12" or "--set".
  std::map<std::string, std::string> origin;
};

// Reads `path` (and the files its `base:` names, nearest wins), applies `overrides` ("a.b=c", in order) and validates.
// Throws ConfigError with every mistake found.
LoadedConfig load(const std::string& path, const std::vector<std::string>& overrides = {});

// Cross-field checks; returns one message per violated rule (empty: valid). load() calls it.
std::vector<std::string> check(const RunConfig& config);

// Complete YAML of a resolved config; load() reads it back to an equal config. With `origin`, each line says where its value
// came from.
std::string to_yaml(const RunConfig& config, const std::map<std::string, std::string>* origin = nullptr);

// JSON Schema (draft 2020-12) of the configuration, and the Markdown reference that docs/config.md holds.
std::string json_schema();
std::string markdown_reference();

// A short stable hash of everything that changes the numbers of a run (not names or folders).
std::string numerics_hash(const RunConfig& config);

}  // namespace terse::configs
