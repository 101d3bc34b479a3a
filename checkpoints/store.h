// The checkpoints of a run folder on disk. checkpoints/step-N/ holds HDF5 shards, extra.json, the text files of the
// state, MANIFEST.json and MANIFEST.sha256. checkpoints/latest holds one line, the name of the newest folder. It is for
// people and scripts; loading never trusts it.
//
// A checkpoint exists only once its folder has been renamed into place. A save writes a temporary folder, syncs every
// file and the folder, renames the folder, and syncs its parent. Only then does it update `latest` and remove older
// checkpoints, but never the last two that verify. Loading checks the hash of a file before HDF5 parses it.
//
// Several ranks may save one checkpoint together: each writes its own tensors, or parts of tensors, as rank-<r>.h5. Any
// number of ranks may load it. The ranks of a save need a folder that all of them see, and no other way to communicate.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "checkpoints/state_dict.h"

namespace terse::checkpoints {

// The caller interrupted the loading.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct CheckpointInfo {
  int64_t step = 0;         // global step; rises over all stages of a run
  std::string stage;        // "pretrain", "sft", "rl"
  std::string config_hash;  // configs::numerics_hash
  double score = 0;         // larger is better; retention keeps the best of the stage; NaN or infinity: unknown
};

struct StoreOptions {
  int64_t keep = 2;   // number of newest good checkpoints that are kept (at least 2), besides the best of the stage
  bool async = true;  // write in a background thread, if the HDF5 library is thread-safe
  uint64_t shard_bytes = 256u << 20;    // target size of a shard file, and memory that writing takes: 4 KiB to 1 GiB
  std::shared_ptr<FileSystem> fs = {};  // empty: the real file system

  // With ranks > 1, every rank has a Store on the same folder. Only `rank` differs between their options.
  int rank = 0;
  int ranks = 1;
  // Identifies this start of the run. It is the same on all ranks and differs at every start. 1 to 64 letters, digits,
  // '-' and '_'; only needed with ranks > 1.
  std::string token = {};
  // How long a rank waits for another rank that shows no progress. A rank shows progress with every file that it
  // writes. Rank 0 shows none while it verifies old checkpoints in order to prune, so allow time for that.
  std::chrono::milliseconds deadline = std::chrono::minutes(30);
};

// Elements [begin, end) of a flattened tensor.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};
// Returns the elements that the caller wants of a tensor, or nullopt to leave the tensor out of the result. Called once
// per tensor.
using Wanted = std::function<std::optional<Range>(const std::string& name, const std::vector<int64_t>& shape)>;

// An all-gather of texts: returns the texts of all ranks in rank order. It is a collective, so every rank must call it
// equally often.
using Exchange = std::function<std::vector<std::string>(const std::string& mine)>;

// A process has at most one Store per run folder at a time; launch locks the folder. One thread calls save(), wait(),
// idle() and the destructor. Any thread may call load_latest().
class Store {
 public:
  // `dir` is the run's checkpoints/ folder. The constructor creates it when it is missing; on rank 0 it also removes
  // the unfinished files of killed processes. Throws DiskError when the folder cannot be created or written to, and
  // std::invalid_argument for an invalid rank or token.
  Store(std::filesystem::path dir, StoreOptions options);
  Store(std::filesystem::path dir, int64_t keep, bool async);
  ~Store();  // waits for the save in progress, and prints its failure to standard error

  // Writes the state to disk. When async, it only copies the state, and a background thread writes it. The call then
  // blocks for the copy, and for the previous save if that is still being written. It replaces a checkpoint of the same
  // step.
  //
  // Throws DiskError when there is clearly not enough free space, or when the previous save failed in the background.
  // In the second case this save has not begun, so call it again. A failed save leaves older checkpoints usable and
  // removes its temporary files, so the run may continue. If the disk refuses the removal too, the next call and the
  // next Store retry it. When only the update of `latest` or the pruning fails, the new checkpoint stays in place.
  // Throws std::invalid_argument, which names the tensor, the file or the place in `extra`, for what a checkpoint
  // cannot hold exactly: other element types, a shard whose size does not fit its range, NaN or infinity in `extra`
  // (JSON has none), a text file with an impossible name or size.
  //
  // With several ranks, each rank calls it for the same steps in the same order, with the tensors and shards that only
  // this rank holds. One rank passes what all ranks hold alike. The pieces of every tensor must cover the whole tensor.
  // `info`, `extra` and `files` are those of rank 0. When async, the call itself throws only a failure of the previous
  // save. Every other failure fails the save on all ranks, even if only one rank refuses its state or has no room.
  // wait() or the next save() then throws it on every rank: a DiskError names the rank and the file, or the rank that
  // showed no progress before the deadline. When the save returns on one rank, the checkpoint is in place and durable.
  //
  // All ranks return or all ranks throw, with one exception: a rank may miss the announcement of rank 0, because rank 0
  // died or stayed silent beyond the deadline, or because the disk failed. That rank throws a DiskError that says so,
  // although the checkpoint may be in place. After a failed save, call wait() on every rank before the next save(), so
  // that all ranks begin the next save.
  void save(const CheckpointInfo& info, const StateDict& state);
  // Waits until the save in progress is on disk; throws as save() does when it failed.
  void wait();
  // Waits at most `patience` for the save in progress. Returns true when none is left, so that wait() would not block.
  bool idle(std::chrono::milliseconds patience) const;

  struct Loaded {
    CheckpointInfo info;
    StateDict state;  // on the CPU; the pieces of each tensor joined
    std::filesystem::path path;
    std::string manifest_sha256;  // tells checkpoints apart, whatever their folders are called
    // Newer checkpoints that failed verification, with their defects: "step-200: rank-0.h5: its SHA-256 is ...".
    std::vector<std::string> rejected;
  };
  // Returns the newest checkpoint that verifies, or nullopt when there are no checkpoints. Throws DataError when there
  // are some and none is usable; the message lists each one and its defects. The number of ranks that saved does not
  // matter. Only what is `wanted` is kept in memory, as one shard per tensor; without `wanted`, everything is kept. Of
  // a tensor that was saved in part, the shard holds the wanted elements that were saved. Throws std::invalid_argument
  // when `wanted` asks for elements that a tensor does not have.
  //
  // With several ranks, all ranks call it, each with its own `wanted`. They share the hashing: one rank verifies each
  // file before any rank uses it. They agree by `exchange`: all return the same checkpoint with the same `rejected`, or
  // all throw.
  //
  // `interrupted`, when given, is polled between two files. When it returns true on any rank, all ranks throw
  // Interrupted.
  std::optional<Loaded> load_latest(const Wanted& wanted = {}, const Exchange& exchange = {},
                                    const std::function<bool()>& interrupted = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Several ranks that load one checkpoint together, as Store::load_latest() describes. The default is one process.
struct Readers {
  int rank = 0;
  int ranks = 1;
  Exchange exchange = {};
  std::function<bool()> interrupted = {};
};
// Store::load_latest() without a Store. It changes nothing on disk, so it can read a run that is still training.
std::optional<Store::Loaded> load_latest(const std::filesystem::path& dir, const Wanted& wanted = {},
                                         const Readers& readers = {});
// Loads one checkpoint folder, wherever it lies; throws DataError naming the file when it does not verify.
Store::Loaded load(const std::filesystem::path& checkpoint, const Wanted& wanted = {}, const Readers& readers = {});
// Whether a folder is a checkpoint, sound or not. A run folder is none.
bool is_checkpoint(const std::filesystem::path& folder);

// Verifies one checkpoint folder completely (manifest, sizes, hashes, readable HDF5). Returns its defects; empty when
// it is sound.
std::vector<std::string> verify(const std::filesystem::path& checkpoint);
// Describes a checkpoint in one line, from its manifest: step, stage, tensors, size, ranks, time. Throws DataError when
// the manifest is missing or damaged.
std::string describe(const std::filesystem::path& checkpoint);
// The checkpoint folders in `dir`, newest first, whether sound or not.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& dir);

}  // namespace terse::checkpoints
