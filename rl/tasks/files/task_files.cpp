// The copies are data/task-train.jsonl and data/task-eval.jsonl of the run folder. Those of the task NAME of a mixture
// are data/task-NAME-train.jsonl and data/task-NAME-eval.jsonl.
#include "rl/tasks/files/task_files.h"

#include <fmt/format.h>

#include <limits>
#include <string>
#include <vector>

#include "base/durable.h"
#include "base/errors.h"
#include "base/file_system.h"
#include "base/sha256.h"
#include "configs/fields.h"

namespace terse::rl {

namespace {

namespace fs = std::filesystem;

struct TaskFile {
  std::string option;
  std::string& path;
  fs::path copy;
};

// The files of a task and of the tasks that it mixes.
std::vector<TaskFile> files_of(configs::Task& config, const fs::path& dir) {
  std::vector<TaskFile> files;
  const auto add = [&](configs::Task& task, const std::string& section, const std::string& copy) {
    files.push_back({section + ".path", task.path, dir / "data" / (copy + "-train.jsonl")});
    files.push_back({section + ".eval_path", task.eval_path, dir / "data" / (copy + "-eval.jsonl")});
  };
  if (config.name != configs::kMixture) add(config, "task", "task");
  for (auto& [name, part] : config.mixture) add(part, configs::join(configs::kMixtureSection, name), "task-" + name);
  return files;
}

bool is_file(const fs::path& path) {
  std::error_code missing;
  return fs::is_regular_file(path, missing);
}

}  // namespace

configs::Task with_kept_files(configs::Task config, const fs::path& dir) {
  for (const TaskFile& file : files_of(config, dir))
    if (!file.path.empty() && is_file(file.copy)) file.path = file.copy.string();
  return config;
}

std::string hash_of_files(const configs::Task& config) {
  configs::Task named = config;
  Sha256 all;
  for (const TaskFile& file : files_of(named, {})) {
    all.update(file.option + "=");
    if (is_file(file.path)) all.update(sha256_file(file.path));
  }
  return all.hex();
}

void keep_task_files(const configs::Task& config, const fs::path& dir, bool begun) {
  configs::Task named = config;
  for (const TaskFile& file : files_of(named, dir)) {
    const std::string& path = file.path;
    const fs::path& copy = file.copy;
    if (path.empty() || (begun && !is_file(path) && is_file(copy))) continue;
    if (is_file(copy) && sha256_file(path) == sha256_file(copy.string())) continue;
    if (begun && is_file(copy)) {
      throw ConfigError(fmt::format(
          "{}: {} has changed since the run began: its copy {} is another file. Put the file back as it was or move it "
          "away, or use another run folder (--run-dir or run.name) for the new one",
          file.option, path, copy.string()));
    }
    make_folders(copy.parent_path());
    write_durably(copy, read_input(path, std::numeric_limits<uint64_t>::max()));
  }
}

}  // namespace terse::rl
