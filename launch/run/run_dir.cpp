// A folder belongs to a run if the hash of its numeric settings is the same. Options that do not change the numbers may
// differ.
#include "launch/run/run_dir.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/durable.h"
#include "base/file_system.h"
#include "checkpoints/store.h"
#include "configs/load.h"
#include "launch/run/environment.h"
#include "launch/run/starts.h"
#include "rl/tasks/task.h"

namespace terse::launch {

namespace fs = std::filesystem;

namespace {

constexpr const char* kDefaultParent = "runs";

[[noreturn]] void refuse(const fs::path& dir, const std::string& reason) {
  throw ConfigError(fmt::format("the run folder {} cannot be used: {}", dir.string(), reason));
}

// Most calls see nothing at all where a link has no target. So this check comes first.
void refuse_dangling_link(const fs::path& dir, const fs::path& path) {
  std::error_code ignored;
  if (!fs::is_symlink(path, ignored) || fs::exists(path, ignored)) return;
  const fs::path target = fs::read_symlink(path, ignored);
  refuse(dir,
         fmt::format("{} is a link to {}, which does not exist. Create that folder (mkdir -p {}), or remove the link.",
                     path.string(), target.string(), (path.parent_path() / target).string()));
}

void create_folder(const fs::path& dir) {
  std::error_code error;
  for (fs::path above = dir; above.has_relative_path(); above = above.parent_path()) refuse_dangling_link(dir, above);
  const fs::file_status status = fs::status(dir, error);
  if (fs::is_directory(status)) return;
  if (fs::exists(status)) refuse(dir, "it is a file. Choose another folder with --run-dir, or move the file away.");
  const fs::path parent = dir.has_parent_path() ? dir.parent_path() : fs::path(".");
  if (parent == kDefaultParent) fs::create_directory(parent, error);
  if (!fs::exists(parent))
    refuse(dir, fmt::format("its parent folder does not exist. If the path is correct, create it: mkdir -p {}",
                            parent.string()));
  if (!fs::is_directory(parent)) refuse(dir, fmt::format("{} is a file.", parent.string()));
  fs::create_directory(dir, error);
  if (error) refuse(dir, fmt::format("it cannot be created ({}). Choose another with --run-dir.", error.message()));
  // A power loss could undo the creation of the folder, and its checkpoints would be lost with it. So its name is
  // synced.
  if (parent == kDefaultParent) sync_name(parent);
  sync_name(dir);
}

// Recognises empty folders that a user may prepare before the first start, for example as links to another disk.
bool is_prepared_folder(const fs::directory_entry& entry) {
  constexpr std::array<const char*, 4> kFolders = {"checkpoints", "data", "tensorboard", "traces"};
  const std::string name = entry.path().filename();
  return std::find(kFolders.begin(), kFolders.end(), name) != kFolders.end() && entry.is_directory() &&
         fs::is_empty(entry.path());
}

// True when the folder holds something that no start of a run leaves behind before config.yaml exists.
bool holds_foreign_files(const fs::path& dir) {
  constexpr std::array<const char*, 2> kOurs = {"lock", "log.txt"};
  return std::any_of(fs::directory_iterator(dir), fs::directory_iterator(), [&](const fs::directory_entry& entry) {
    refuse_dangling_link(dir, entry.path());
    const std::string name = entry.path().filename();
    return std::find(kOurs.begin(), kOurs.end(), name) == kOurs.end() && !is_temporary_name(name) &&
           !is_prepared_folder(entry);
  });
}

// Returns the differences that change the numbers, one indented line each.
std::string numeric_differences(const configs::RunConfig& there, const configs::RunConfig& here) {
  std::string lines;
  for (const configs::Difference& difference : configs::differences(there, here))
    if (difference.changes_numbers)
      lines += fmt::format("  {}: {} in the run folder, {} now\n", difference.key, difference.before, difference.after);
  return lines;
}

// Returns the run folder of a config. Creates it if needed; a checkpoint stays untouched.
fs::path usable_folder(const configs::RunConfig& config) {
  const fs::path dir = run_dir_of(config);
  if (checkpoints::is_checkpoint(dir))
    refuse(
        dir,
        "it is a checkpoint, which never changes. Choose another folder with --run-dir; with --set model.init=DIR, a "
        "new run begins with the weights of this one.");
  create_folder(dir);
  return dir;
}

// Returns true if the folder belongs to this run, and false if it does not hold a run yet. Refuses any other folder.
bool belongs_to(const fs::path& dir, const configs::RunConfig& config) {
  const fs::path stored = dir / "config.yaml";
  if (!fs::exists(stored)) {
    if (holds_foreign_files(dir))
      refuse(dir,
             "it contains files but no config.yaml, so it is not a run folder. Choose an empty or new folder with "
             "--run-dir.");
    return false;
  }
  configs::RunConfig there;
  try {
    there = configs::load(stored.string(), {}, configs::InputFiles::kMayBeMissing, rl::default_config()).config;
  } catch (const ConfigError& error) {
    refuse(dir, fmt::format(
                    "its config.yaml cannot be read, so the run cannot be continued safely. Choose another folder with "
                    "--run-dir, or correct the file:\n{}",
                    error.what()));
  }
  if (configs::numerics_hash(there) == configs::numerics_hash(config)) return true;
  refuse(dir, fmt::format(
                  "it contains a run with other settings, and continuing it with the new settings would mix two "
                  "experiments.\n{}"
                  "Use another folder (--run-dir or run.name) for the new settings, or the same settings to continue.",
                  numeric_differences(there, config)));
}

}  // namespace

fs::path run_dir_of(const configs::RunConfig& config) {
  fs::path dir = config.run.dir.empty() ? fs::path(kDefaultParent) / config.run.name : fs::path(config.run.dir);
  dir = dir.lexically_normal();
  return dir.has_filename() ? dir : dir.parent_path();  // "out/run/" is "out/run"
}

std::optional<nlohmann::json> finished_summary(const configs::RunConfig& config) {
  const fs::path dir = run_dir_of(config);
  std::ifstream stream(dir / "summary.json");
  auto summary = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (!summary.is_object() || !summary.contains("stages") || !summary["stages"].is_array()) return {};
  std::vector<std::string> done;
  for (const nlohmann::json& stage : summary["stages"])
    if (stage.is_object()) done.push_back(stage.value("stage", ""));
  if (done != config.stages) return {};
  try {
    if (!belongs_to(dir, config)) return {};
  } catch (const ConfigError&) {
    return {};  // the folder holds another run, which RunDir reports
  }
  return summary;
}

RunDir::RunDir(const configs::RunConfig& config)
    : path_(usable_folder(config)), lock_(path_), resumed_(belongs_to(path_, config)) {}

int64_t RunDir::record(const configs::RunConfig& config, const std::vector<std::string>& command, bool retry) const {
  if (!retry) refuse_crash_loop(path_);
  write_durably(path_ / "config.yaml", configs::to_yaml(config));
  return record_start(path_, config, command, retry).at("restarts").get<int64_t>();
}

}  // namespace terse::launch
