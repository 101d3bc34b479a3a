// Removes old checkpoints.
#pragma once

#include "checkpoints/folder.h"
#include "checkpoints/temporary_names.h"

namespace terse::checkpoints {

// Removes checkpoints older than `newest`, which is on disk. It keeps the `keep` newest that verify and, of the stage
// of `newest`, the checkpoint with the best score that verifies. It removes nothing unless `keep` verify. Here the
// folders are only renamed, so a kill leaves no partial checkpoint; clearing `names` removes their files.
void prune(FileSystem& fs, const FileSystem::Path& dir, TemporaryNames& names, int64_t newest, int64_t keep);

}  // namespace terse::checkpoints
