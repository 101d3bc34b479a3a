// A checkpoint that several ranks write together: every rank writes its own shard files, and rank 0 the rest.
#pragma once

#include <chrono>
#include <exception>
#include <string>

#include "checkpoints/scratch.h"
#include "checkpoints/writer.h"

namespace terse::checkpoints {

// The parameters of one save. Only `rank` differs between the ranks.
struct SharedSave {
  int rank = 0;
  int ranks = 1;
  std::string label;  // unique among all saves of these ranks and of other starts
  std::chrono::milliseconds deadline{};
  int64_t step = 0;
  int64_t keep = 2;  // for rank 0, which prunes
};

// The state that this rank saves, or the reason why it cannot.
struct Contribution {
  SaveJob job;
  std::exception_ptr refusal;
};

// Returns when the checkpoint is in place, `latest` points to it and rank 0 has pruned. Otherwise it throws the same
// failure on every rank (Store::save states the exception): DiskError naming the rank and the file, or
// std::invalid_argument for what cannot be stored, for example pieces of a tensor that leave a gap. Then the files of
// the save are removed as far as the disk allows.
void save_together(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, const SharedSave& save,
                   const Contribution& contribution);

}  // namespace terse::checkpoints
