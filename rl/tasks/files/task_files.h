// The files of a task in a run folder. A run copies them when it begins, so that it needs nothing outside its folder
// afterwards, and every reader of the folder gets the items that the run was trained on.
#pragma once

#include <filesystem>
#include <string>

#include "configs/run_config.h"

namespace terse::rl {

// Returns the config with the paths of the copies in the run folder `dir`, where there are any. Both functions cover
// the files of all tasks of a mixture.
configs::Task with_kept_files(configs::Task config, const std::filesystem::path& dir);

// Returns a hash of the contents of the files that the config names, and of which are missing. Throws DiskError.
std::string hash_of_files(const configs::Task& config);

// Copies the files that the config names into `dir`. `begun`: the run has saved a checkpoint, so the files must not
// change any more; throws ConfigError naming a file that has. Throws DiskError.
void keep_task_files(const configs::Task& config, const std::filesystem::path& dir, bool begun);

}  // namespace terse::rl
