// Putting one checkpoint on disk.
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

// The steps of a save, in order. All throw DiskError; the first also Hdf5Error.
//
// Writes the tensors into files of this rank in `folder`, each synced, and returns their entries.
std::vector<FileEntry> write_shards(FileSystem& fs, const FileSystem::Path& folder, const SaveJob& job, int rank);
// Adds extra.json and the manifest over it and `shards`, and syncs `folder`.
void write_manifest(FileSystem& fs, const FileSystem::Path& folder, const SaveJob& job, std::vector<FileEntry> shards);
// Makes `folder`, a name of `scratch`, to dir/step-N, durably, then points `latest` to it.
void publish(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, const FileSystem::Path& folder,
             int64_t step);

// All of it by one process. Whether it returns or throws, `scratch` then has to be cleared: of a replaced checkpoint,
// or of what was written so far.
void write_checkpoint(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, const SaveJob& job);

}  // namespace terse::checkpoints
