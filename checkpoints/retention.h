// Taking checkpoints and leftovers away.
#pragma once

#include "checkpoints/folder.h"
#include "checkpoints/scratch.h"

namespace terse::checkpoints {

// Removes checkpoints older than `newest`, which is on disk, except the `keep` newest that verify and, of those of its
// stage, the best-scored one that verifies. Removes nothing unless `keep` verify. The folders only lose their names
// here, so that a kill leaves no half checkpoint; clearing `scratch` removes their files.
void prune(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, int64_t newest, int64_t keep);

// Removes temporary files and folders of processes that are gone, and those of every save by several ranks: only for
// the first process of a run, before the others of the same start can save.
void remove_leftovers(FileSystem& fs, const FileSystem::Path& dir);

}  // namespace terse::checkpoints
