// Removes old checkpoints, and temporary files of killed processes.
#pragma once

#include "checkpoints/folder.h"
#include "checkpoints/scratch.h"

namespace terse::checkpoints {

// Removes checkpoints older than `newest`, which is on disk. It keeps the `keep` newest that verify and, of the stage
// of `newest`, the checkpoint with the best score that verifies. It removes nothing unless `keep` verify. Here the
// folders are only renamed, so a kill leaves no partial checkpoint; clearing `scratch` removes their files.
void prune(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, int64_t newest, int64_t keep);

// Removes temporary files and folders of processes that no longer run, and those of every save by several ranks. Only
// the first process of a run may call it, before other ranks of the same start can save.
void remove_leftovers(FileSystem& fs, const FileSystem::Path& dir);

}  // namespace terse::checkpoints
