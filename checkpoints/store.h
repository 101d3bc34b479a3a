// Checkpoints of a run folder on disk: checkpoints/step-N/ with HDF5 shards and MANIFEST.json, and checkpoints/latest.
//
// A checkpoint exists only once its folder has been renamed into place: it is written to a temporary folder, every file and the
// folder are synced, renamed, and the parent is synced. Hashes are checked before HDF5 opens a file.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "checkpoints/state_dict.h"

namespace terse::checkpoints {

// No usable checkpoint although there are some; launch turns it into exit code 65. The message lists each one and its defect.
class CorruptError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
// The disk refused a write; launch turns it into exit code 74.
class DiskError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct CheckpointInfo {
  int64_t step = 0;        // global step: rises over all stages of a run
  std::string stage;       // "pretrain", "sft", "rl"
  std::string config_hash; // configs::numerics_hash
  double score = 0;        // larger is better; retention keeps the best
};

class Store {
 public:
  // `dir` is the run's checkpoints/ folder (created). `keep` newest good checkpoints stay (at least 2) and the best-scored one.
  Store(std::filesystem::path dir, int64_t keep, bool async);
  ~Store();  // waits for a save in progress

  // Copies the state, then writes it (in a background thread when async). The call blocks for no longer than the copy, unless the
  // save before is still being written. A failed background save is reported by the next call of save() or wait(), as DiskError;
  // older checkpoints are never touched by a failed save.
  void save(const CheckpointInfo& info, const StateDict& state);
  void wait();

  struct Loaded {
    CheckpointInfo info;
    StateDict state;
    std::filesystem::path path;
    std::vector<std::string> rejected;  // newer checkpoints that failed verification: "step-200: rank-0.h5: SHA-256 ..."
  };
  // Newest checkpoint that verifies; nullopt when there is none at all; CorruptError when there are some and none is usable.
  std::optional<Loaded> load_latest() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Verifies one checkpoint folder completely (manifest, sizes, hashes, readable HDF5); returns its defects, empty when sound.
std::vector<std::string> verify(const std::filesystem::path& checkpoint);
// Loads one checkpoint folder; throws CorruptError naming the file when it does not verify.
Store::Loaded load(const std::filesystem::path& checkpoint);

}  // namespace terse::checkpoints
