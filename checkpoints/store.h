// Checkpoints of a run folder on disk: checkpoints/step-N/ with HDF5 shards, extra.json, MANIFEST.json and
// MANIFEST.sha256, and checkpoints/latest (a line with the newest folder's name, for people and scripts; loading never
// trusts it).
//
// A checkpoint exists only once its folder has been renamed into place: it is written to a temporary folder, every file
// and the folder are synced, renamed, and the parent is synced. Hashes are checked before HDF5 parses a file. Only then
// `latest` moves and older checkpoints go, never the last two that verify.
//
// Several ranks may save into one checkpoint, each its own tensors or parts of them as rank-<r>.h5, and any number of
// ranks may load it again. They need a folder that all see, and nothing else to save.
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

// Also: no usable checkpoint although there are some. The message then lists each one and its defect.

// Loading was given up because the caller asked for it.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct CheckpointInfo {
  int64_t step = 0;         // global step: rises over all stages of a run
  std::string stage;        // "pretrain", "sft", "rl"
  std::string config_hash;  // configs::numerics_hash
  double score = 0;         // larger is better; retention keeps the best of the stage; not finite: unknown
};

struct StoreOptions {
  int64_t keep = 2;                   // newest good checkpoints that stay (at least 2), besides the best of the stage
  bool async = true;                  // write in a background thread
  uint64_t shard_bytes = 256u << 20;  // about the largest shard file, and the memory that writing takes: 4 KiB to 1 GiB
  std::shared_ptr<FileSystem> fs = {};  // empty: the real file system

  // With ranks > 1, every rank has a Store on the same folder with the same options but `rank`.
  int rank = 0;
  int ranks = 1;
  // Names this start of the run: the same on all ranks, another one at every start. Letters, digits, '-' and '_', 1 to
  // 64 of them; only needed with ranks > 1.
  std::string token = {};
  // How long a rank waits for another one that gives no sign. A rank that writes gives one with every file; rank 0
  // gives none while it reads what stays back in order to prune, so leave time for that.
  std::chrono::milliseconds deadline = std::chrono::minutes(30);
};

// Elements [begin, end) of a flattened tensor.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};
// What a caller wants of the tensor of this name and shape; nullopt: not even its name. Called once per tensor.
using Wanted = std::function<std::optional<Range>(const std::string& name, const std::vector<int64_t>& shape)>;

// Gives every rank the texts of all ranks, in the order of the ranks. Every rank calls it as often as the others.
using Exchange = std::function<std::vector<std::string>(const std::string& mine)>;

// One Store per run folder and process at a time; launch locks the folder. save(), wait(), idle() and the destructor
// belong to one thread; load_latest() may be called from any.
class Store {
 public:
  // `dir` is the run's checkpoints/ folder: created when missing, and cleared of what killed processes left
  // half-written (by rank 0). Throws DiskError when it cannot be created or written to, std::invalid_argument for ranks
  // or a token that cannot be.
  Store(std::filesystem::path dir, StoreOptions options);
  Store(std::filesystem::path dir, int64_t keep, bool async);
  ~Store();  // waits for a save in progress; a failure that nobody asked for goes to standard error

  // Copies the state, then writes it (in a background thread when async). The call blocks for no longer than the copy,
  // unless the save before is still being written. A checkpoint of the same step is replaced in one step.
  //
  // Throws DiskError when there is clearly not enough free space, or when the save before failed in the background:
  // then this one has not begun, and calling again tries it. Older checkpoints are never touched by a failed save, and
  // what it wrote is removed (if the disk refuses that as well: tried again by the next call, and by the next Store),
  // so the run may go on. Throws std::invalid_argument, naming the tensor or the place in `extra`, for what a
  // checkpoint cannot hold exactly: other element types, a shard whose size does not fit its range, NaN or infinity in
  // `extra` (JSON has none).
  //
  // With several ranks: each calls it for the same steps in the same order, with the tensors and shards that it alone
  // holds; what all hold alike, one of them brings. The pieces of every tensor have to make a whole. `info` and `extra`
  // are rank 0's. Nothing but a failure of the save before is thrown from the call itself when async; all else, also
  // what one rank refuses or has no room for, fails the save on all ranks, and wait() or the next save() throws it
  // there: a DiskError names the rank and the file, or the rank that gave no sign before the deadline. When one rank's
  // save returns, the checkpoint is in place and durable. All ranks return, or all throw, but in one case: a rank that
  // misses rank 0's word (it died, fell silent beyond the deadline, or the disk fails there) throws a DiskError that
  // says so, although the checkpoint may be in place. After a failed save, call wait() on every rank before the next
  // save(), so that all of them begin it.
  void save(const CheckpointInfo& info, const StateDict& state);
  // Until the save in progress is on disk; throws as save() does when it failed.
  void wait();
  // Whether no save is in progress, so that wait() would not block, at the latest after so long.
  bool idle(std::chrono::milliseconds patience) const;

  struct Loaded {
    CheckpointInfo info;
    StateDict state;  // on the CPU; the pieces of each tensor joined
    std::filesystem::path path;
    std::vector<std::string>
        rejected;  // newer checkpoints that failed verification: "step-200: rank-0.h5: SHA-256 ..."
  };
  // Newest checkpoint that verifies; nullopt when there is none at all; DataError when there are some and none is
  // usable. Only what is `wanted` is kept in memory, as one shard per tensor (of a tensor that was saved in part, what
  // there is of it); empty: everything. It does not matter how many ranks saved. Throws std::invalid_argument when it
  // wants elements that a tensor does not have.
  //
  // With several ranks, all call it, each with its own `wanted`. They share the hashing, so that each byte is read and
  // verified by one rank before any uses it, and agree by `exchange`: all return the same checkpoint, with the same
  // `rejected`, or all throw.
  //
  // `interrupted`, when given, is asked between two files. Once it says yes, on any rank, all throw Interrupted.
  std::optional<Loaded> load_latest(const Wanted& wanted = {}, const Exchange& exchange = {},
                                    const std::function<bool()>& interrupted = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The same without a Store: changes nothing on disk, so that a run can be looked at while it is training.
std::optional<Store::Loaded> load_latest(const std::filesystem::path& dir);
// Loads one checkpoint folder; throws DataError naming the file when it does not verify.
Store::Loaded load(const std::filesystem::path& checkpoint);

// Verifies one checkpoint folder completely (manifest, sizes, hashes, readable HDF5); returns its defects, empty when
// sound.
std::vector<std::string> verify(const std::filesystem::path& checkpoint);
// One line about a checkpoint from its manifest: step, stage, tensors, size, ranks, time. Throws DataError when it
// has no sound manifest.
std::string describe(const std::filesystem::path& checkpoint);
// The checkpoint folders in `dir`, newest first, sound or not.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& dir);

}  // namespace terse::checkpoints
