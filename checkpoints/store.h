// Checkpoints of a run folder on disk: checkpoints/step-N/ with HDF5 shards, extra.json, MANIFEST.json and
// MANIFEST.sha256, and checkpoints/latest (a line with the newest folder's name, for people and scripts; loading never
// trusts it).
//
// A checkpoint exists only once its folder has been renamed into place: it is written to a temporary folder, every file
// and the folder are synced, renamed, and the parent is synced. Hashes are checked before HDF5 parses a file. Only then
// `latest` moves and older checkpoints go, never the last two that verify.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoints/io.h"
#include "checkpoints/state_dict.h"

namespace terse::checkpoints {

// No usable checkpoint although there are some; launch turns it into exit code 65. The message lists each one and its
// defect.
class CorruptError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct CheckpointInfo {
  int64_t step = 0;         // global step: rises over all stages of a run
  std::string stage;        // "pretrain", "sft", "rl"
  std::string config_hash;  // configs::numerics_hash
  double score = 0;         // larger is better; retention keeps the best; not finite: unknown, never the best
};

struct StoreOptions {
  int64_t keep = 2;                   // newest good checkpoints that stay (at least 2), besides the best-scored one
  bool async = true;                  // write in a background thread
  uint64_t shard_bytes = 256u << 20;  // about the largest shard file, and the memory that writing takes: 4 KiB to 1 GiB
  std::shared_ptr<Io> io = {};        // empty: the real file system
};

// One Store per run folder and process at a time; launch locks the folder. save(), wait() and the destructor belong to
// one thread; load_latest() may be called from any.
class Store {
 public:
  // `dir` is the run's checkpoints/ folder: created when missing, and cleared of what killed processes left
  // half-written. Throws DiskError when it cannot be created or written to.
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
  void save(const CheckpointInfo& info, const StateDict& state);
  // Until the save in progress is on disk; throws as save() does when it failed.
  void wait();

  struct Loaded {
    CheckpointInfo info;
    StateDict state;  // on the CPU; the pieces of each tensor joined
    std::filesystem::path path;
    std::vector<std::string>
        rejected;  // newer checkpoints that failed verification: "step-200: rank-0.h5: SHA-256 ..."
  };
  // Newest checkpoint that verifies; nullopt when there is none at all; CorruptError when there are some and none is
  // usable.
  std::optional<Loaded> load_latest() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The same without a Store: changes nothing on disk, so that a run can be looked at while it is training.
std::optional<Store::Loaded> load_latest(const std::filesystem::path& dir);
// Loads one checkpoint folder; throws CorruptError naming the file when it does not verify.
Store::Loaded load(const std::filesystem::path& checkpoint);

// Verifies one checkpoint folder completely (manifest, sizes, hashes, readable HDF5); returns its defects, empty when
// sound.
std::vector<std::string> verify(const std::filesystem::path& checkpoint);
// One line about a checkpoint from its manifest: step, stage, tensors, size, time. Throws CorruptError when it has no
// sound manifest.
std::string describe(const std::filesystem::path& checkpoint);
// The checkpoint folders in `dir`, newest first, sound or not.
std::vector<std::filesystem::path> list_checkpoints(const std::filesystem::path& dir);

}  // namespace terse::checkpoints
