// Loads a checked RunConfig from a YAML file and --set overrides, and converts a RunConfig back to text.
//
// Values come from the defaults, the farthest `base:` file, ..., the file itself, and --set. A later one of these
// sources overrides an earlier one. A list or a map replaces the earlier one as a whole (--set task.forms.states=0.5
// changes one entry). Then model.depth, if set, derives the shape of the model. It does not change an option that is
// set in the same file or nearer. At last, the model that model.init names gives the rest of the shape. The path of an
// input file or folder may be relative to the working directory, to the folder of the file that names it, or to that
// folder's parent. load() uses the first of these that exists and stores its path in the config.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/errors.h"
#include "configs/run_config.h"

namespace terse::configs {

// Selects whether the files that the config names must exist. Reports and evaluations read a saved config without its
// data.
enum class InputFiles { kMustExist, kMayBeMissing };

struct LoadedConfig {
  RunConfig config;
  // The origin of each value that is not a default, by dotted key: "configs/quickstart.yaml:12", "--set" or "derived
  // from model.depth".
  std::map<std::string, std::string> origin;
  // One line for each older name that a file or an override uses: "my.yaml:4: model.width is now called
  // model.hidden_size".
  std::vector<std::string> warnings;
};

// Returns the shape of the weights that model.init of this config names, with values for every option of `model` that
// they decide; nullopt where it is not known. The config is complete except for that shape.
using ShapeOfInit = std::function<std::optional<Model>(const RunConfig&)>;

// Reads `path` and the files that its `base:` names, applies `overrides` ("a.b=c", in order) to the defaults and
// validates the result. rl::default_config() has the options of the tasks; a plain RunConfig has none of them. Options
// of the model that nothing sets are those of model.init, where `shape_of_init` knows them. Throws ConfigError with
// every mistake found in all files and overrides, and what `shape_of_init` throws.
LoadedConfig load(const std::string& path, const std::vector<std::string>& overrides = {},
                  InputFiles files = InputFiles::kMustExist, const RunConfig& defaults = {},
                  const ShapeOfInit& shape_of_init = {});
// Does the same for YAML in memory. `name` replaces the file name in messages and origins.
LoadedConfig load_text(std::string_view yaml, const std::string& name, const std::vector<std::string>& overrides = {},
                       InputFiles files = InputFiles::kMustExist, const RunConfig& defaults = {},
                       const ShapeOfInit& shape_of_init = {});

// Reads back a text of to_yaml() that comes from a checkpoint. Its input files may be missing. Throws DataError when it
// names a base: nobody vouches for such a text, so it must not make this program read other files. Throws ConfigError
// like load().
RunConfig load_saved(std::string_view yaml, const std::string& name, const RunConfig& defaults = {});

// Checks the ranges, choices and cross-field rules of a config that was made in C++. Returns one "key: what is wrong"
// per violation. load() applies the same rules.
std::vector<std::string> check(const RunConfig& config);

// Returns the complete YAML of a resolved config. load() reads it back to an equal config. With `origin`, a comment on
// each line names the origin of the value.
std::string to_yaml(const RunConfig& config, const std::map<std::string, std::string>* origin = nullptr);

// Return the JSON Schema (draft 2020-12) of a configuration file with these defaults, and the Markdown text of
// docs/config.md.
std::string json_schema(RunConfig defaults);
std::string markdown_reference(RunConfig defaults);

struct Difference {
  std::string key;
  std::string before;  // as in YAML
  std::string after;
  bool changes_numbers = true;  // part of numerics_hash()
};
// Returns the options whose values differ; one that only one of the two has, because its mixture has another task, is
// "nothing" in the other. Both configs must have the same catalog of tasks.
std::vector<Difference> differences(const RunConfig& before, const RunConfig& after);
// Returns the value of every option as YAML text, by dotted key.
std::map<std::string, std::string> values(const RunConfig& config);
bool operator==(const RunConfig& a, const RunConfig& b);

// Returns a short stable hash (16 hex digits) of the options that change the numbers of a run. It excludes run.* except
// run.seed, checkpoint.*, parallel.* except parallel.weight_transfer, and rl.group_deadline. It excludes the cadence of
// evaluations and traces (*.eval_every, rl.trace_every), because evaluations draw from their own random streams and
// never affect training. It excludes model.depth, but includes the shape that model.depth derives. It includes the
// options that only change rounding (micro_batch, engine.max_batch) and those that change only the figures of
// evaluations (eval.*). An input file or folder counts by its name without the folders around it. model.init counts
// only when it is set. A renamed option counts under its first name, so the hash is that of older builds.
std::string numerics_hash(const RunConfig& config);

}  // namespace terse::configs
