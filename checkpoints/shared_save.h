// One checkpoint written by several ranks at once: every rank its own shard files, rank 0 the rest.
#pragma once

#include <chrono>
#include <exception>
#include <string>

#include "checkpoints/scratch.h"
#include "checkpoints/writer.h"

namespace terse::checkpoints {

// What is the same on every rank for one save; only `rank` differs.
struct SharedSave {
  int rank = 0;
  int ranks = 1;
  std::string label;  // tells this save from all others on these ranks and from those of other starts
  std::chrono::milliseconds deadline{};
  int64_t step = 0;
  int64_t keep = 2;  // for rank 0, which prunes
};

// What this rank brings: what it wants to write, or why it cannot.
struct Contribution {
  SaveJob job;
  std::exception_ptr refusal;
};

// Returns when the checkpoint is in place, `latest` points to it and rank 0 has pruned. Throws otherwise, on every rank
// the same: DiskError naming the rank and the file, std::invalid_argument for what cannot be stored, as when the pieces
// of a tensor leave a gap. Then what was written is gone again, as far as the disk allows.
void save_together(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, const SharedSave& save,
                   const Contribution& contribution);

}  // namespace terse::checkpoints
