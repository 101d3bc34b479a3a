// Saves a checkpoint whose tensors are not in memory, one shard file at a time.
#pragma once

#include <vector>

#include "checkpoints/write_files.h"

namespace terse::checkpoints {

// Writes a whole checkpoint into `folder`, which must be empty and has a temporary name; the caller gives it its final
// one. `tensors` are whole, and `description` has none. Throws DiskError, what `source` throws, and
// std::invalid_argument, which names what a checkpoint cannot hold.
void save_streamed(FileSystem& fs, const FileSystem::Path& folder, const CheckpointInfo& info,
                   const StateDict& description, const std::vector<Piece>& tensors, const PieceSource& source,
                   uint64_t shard_bytes = StoreOptions{}.shard_bytes);

}  // namespace terse::checkpoints
