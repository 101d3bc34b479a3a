// The copies are data/task-train.jsonl and data/task-eval.jsonl of the run folder.
#include "rl/tasks/task_files.h"

#include <fmt/format.h>

#include <limits>

#include "base/durable.h"
#include "base/errors.h"
#include "base/file_system.h"
#include "base/sha256.h"

namespace terse::rl {

namespace {

namespace fs = std::filesystem;

struct TaskFile {
  const char* option;
  std::string configs::Task::*path;
  const char* copy;
};
constexpr TaskFile kFiles[] = {{"task.path", &configs::Task::path, "task-train.jsonl"},
                               {"task.eval_path", &configs::Task::eval_path, "task-eval.jsonl"}};

bool is_file(const fs::path& path) {
  std::error_code missing;
  return fs::is_regular_file(path, missing);
}

}  // namespace

configs::Task with_kept_files(configs::Task config, const fs::path& dir) {
  for (const TaskFile& file : kFiles) {
    const fs::path copy = dir / "data" / file.copy;
    if (!(config.*file.path).empty() && is_file(copy)) config.*file.path = copy.string();
  }
  return config;
}

void keep_task_files(const configs::Task& config, const fs::path& dir, bool begun) {
  for (const TaskFile& file : kFiles) {
    const std::string& path = config.*file.path;
    const fs::path copy = dir / "data" / file.copy;
    if (path.empty() || (begun && !is_file(path) && is_file(copy))) continue;
    if (is_file(copy) && sha256_file(path) == sha256_file(copy.string())) continue;
    if (begun && is_file(copy)) {
      throw ConfigError(fmt::format(
          "{}: {} has changed since the run began: its copy {} is another file. Put the file back as it was or move it "
          "away, or use another run folder (--run-dir or run.name) for the new one",
          file.option, path, copy.string()));
    }
    make_folders(copy.parent_path());
    write_durably(copy, posix_file_system()->read(path, std::numeric_limits<uint64_t>::max()));
  }
}

}  // namespace terse::rl
