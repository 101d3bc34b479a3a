// Writes one checkpoint to disk.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "checkpoints/folder.h"
#include "checkpoints/scratch.h"

namespace terse::checkpoints {

// A state that has passed the checks of make_job().
struct SaveJob {
  CheckpointInfo info;
  std::map<std::string, Shard> tensors;
  std::string extra;                              // JSON text
  std::map<std::string, std::string> files = {};  // texts by name
  uint64_t shard_bytes = 0;
};

// Checks the state and prepares it for writing. Throws std::invalid_argument, which names what cannot be stored
// exactly.
SaveJob make_job(const CheckpointInfo& info, const StateDict& state, uint64_t shard_bytes);

// Assigns pieces to shard files: tensors in the order of their names, files filled up to about job.shard_bytes.
std::vector<std::vector<Piece>> plan_shards(const SaveJob& job);

// The size of this job on disk, rounded up.
uint64_t needed_bytes(const SaveJob& job);

// The steps of a save, in order. All throw DiskError; the first also throws Hdf5Error.
//
// Writes the tensors into this rank's files in `folder`, syncs each, and returns their entries.
std::vector<FileEntry> write_shards(FileSystem& fs, const FileSystem::Path& folder, const SaveJob& job, int rank);
// Adds extra.json, the text files and a manifest of them and `shards`, and syncs `folder`.
void write_manifest(FileSystem& fs, const FileSystem::Path& folder, const SaveJob& job, std::vector<FileEntry> shards);
// Renames `folder`, a name of `scratch`, to dir/step-N, durably. Then updates `latest`.
void publish(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, const FileSystem::Path& folder,
             int64_t step);

// Performs all steps of a save by one process. Afterwards, clear `scratch`, whether the call returned or threw. It
// still holds a replaced checkpoint or an unfinished one.
void write_checkpoint(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, const SaveJob& job);

}  // namespace terse::checkpoints
