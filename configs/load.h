// From a YAML file and --set overrides to a checked RunConfig, and back to text.
//
// Order, nearest wins: defaults, the farthest `base:` file, ..., the file itself, --set. A list or map replaces the one
// before it as a whole (--set task.forms.states=0.5 changes one entry). model.depth, if set, then derives the shape of
// the model, except for what is set in the same file or nearer. An input file may lie relative to the working
// directory, to the folder of the file that names it, or to that folder's parent; the first that exists is taken, and
// written into the config when it is not the first.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"
#include "configs/run_config.h"

namespace terse::configs {

// Whether the files that the config names must exist. A saved config is read for a report or an evaluation without its
// data.
enum class InputFiles { kMustExist, kMayBeMissing };

struct LoadedConfig {
  RunConfig config;
  // Where each value that is not a default came from, by dotted key: "configs/quickstart.yaml:12", "--set" or
  // "derived from model.depth".
  std::map<std::string, std::string> origin;
};

// Reads `path` (and the files its `base:` names), applies `overrides` ("a.b=c", in order) and validates.
// Throws ConfigError with every mistake found in all files and overrides.
LoadedConfig load(const std::string& path, const std::vector<std::string>& overrides = {},
                  InputFiles files = InputFiles::kMustExist);
// The same for YAML in memory, e.g. a config that travelled in a checkpoint; `name` stands for the file in messages and
// origins.
LoadedConfig load_text(std::string_view yaml, const std::string& name, const std::vector<std::string>& overrides = {},
                       InputFiles files = InputFiles::kMustExist);

// Ranges, choices and cross-field rules of a config made in C++; one "key: what is wrong" per violation (empty: valid).
// load() applies the same rules.
std::vector<std::string> check(const RunConfig& config);

// Complete YAML of a resolved config; load() reads it back to an equal config. With `origin`, each line says where its
// value came from.
std::string to_yaml(const RunConfig& config, const std::map<std::string, std::string>* origin = nullptr);

// JSON Schema (draft 2020-12) of a configuration file, and the Markdown reference that docs/config.md holds.
std::string json_schema();
std::string markdown_reference();

struct Difference {
  std::string key;
  std::string before;  // as in YAML
  std::string after;
  bool changes_numbers = true;  // part of numerics_hash()
};
std::vector<Difference> differences(const RunConfig& before, const RunConfig& after);
// Every option and its value as in YAML, by dotted key.
std::map<std::string, std::string> values(const RunConfig& config);
bool operator==(const RunConfig& a, const RunConfig& b);

// A short stable hash (16 hex digits) of everything that changes the numbers of a run. Out of it are: run.name,
// run.dir, run.device, run.threads, run.log_every, checkpoint.*, and the cadence of evaluations and traces
// (*.eval_every, rl.trace_every), because evaluations draw from random streams of their own and never touch training.
// In it are the options that only change rounding (micro_batch, engine.max_batch) and those of the evaluations' figures
// (eval.*). model.depth is out: what it derives is in. An input file counts by its name without folders.
std::string numerics_hash(const RunConfig& config);

}  // namespace terse::configs
