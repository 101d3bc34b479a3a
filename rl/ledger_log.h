// ledger.jsonl in the run folder: a line for every step, with the problems whose groups it trained on (`trained`),
// those it saw but left out because they taught nothing (`unused`), those still to come (`outstanding`), and how many
// have been handed out so far. So anyone can check that none was lost and none used twice: `terse verify` does.
#pragma once

#include <filesystem>
#include <optional>

#include "rl/rollout_source.h"
#include "trainer/metrics/jsonl_file.h"

namespace terse::rl {

class LedgerLog {
 public:
  // An empty `folder`: writes nothing. Throws trainer::MetricsError, like all below.
  explicit LedgerLog(const std::filesystem::path& folder);
  void add(int64_t step, const RolloutBatch& batch, const Ledger& ledger);

  // Where the log stands; sync() puts everything before it on disk. And back to there, 0 being the very beginning.
  int64_t position() const { return file_ ? file_->size() : 0; }
  void sync();
  void rewind(int64_t position);

 private:
  std::optional<trainer::JsonlFile> file_;
};

}  // namespace terse::rl
