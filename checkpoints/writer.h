// Putting one checkpoint on disk, and taking old ones away.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoints/folder.h"
#include "checkpoints/scratch.h"

namespace terse::checkpoints {

// A state that has been found storable.
struct SaveJob {
  CheckpointInfo info;
  std::map<std::string, Shard> tensors;
  std::string extra;  // JSON text
  uint64_t shard_bytes = 0;
};

// Throws std::invalid_argument naming what cannot be stored exactly.
SaveJob make_job(const CheckpointInfo& info, const StateDict& state, uint64_t shard_bytes);

// Which pieces go into which shard file: tensors in order of their names, files filled up to about job.shard_bytes.
std::vector<std::vector<Piece>> plan_shards(const SaveJob& job);

// Bytes on disk, rounded up.
uint64_t needed_bytes(const SaveJob& job);

// Writes dir/step-N, makes it durable, then points `latest` to it. Whether it returns or throws, `scratch` then has to
// be cleared: of a replaced checkpoint, or of what was written so far. Throws DiskError or Hdf5Error.
void write_checkpoint(Io& io, const Io::Path& dir, Scratch& scratch, const SaveJob& job);

// Removes checkpoints older than `newest`, which is on disk, except the `keep` newest that verify and the best-scored
// one that verifies. Removes nothing unless `keep` verify. The folders only lose their names here, so that a kill
// leaves no half checkpoint; clearing `scratch` removes their files.
void prune(Io& io, const Io::Path& dir, Scratch& scratch, int64_t newest, int64_t keep);

// Removes temporary files and folders of processes that are gone.
void remove_leftovers(Io& io, const Io::Path& dir);

}  // namespace terse::checkpoints
