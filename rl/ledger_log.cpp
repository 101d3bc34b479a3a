#include "rl/ledger_log.h"

namespace terse::rl {

LedgerLog::LedgerLog(const std::filesystem::path& folder) {
  if (!folder.empty()) file_.emplace(folder / "ledger.jsonl");
}

void LedgerLog::add(int64_t step, const RolloutBatch& batch, const Ledger& ledger) {
  if (!file_) return;
  std::set<int64_t> trained, unused;
  for (const RolloutGroup& group : batch.groups) trained.insert(group.problem.index);
  for (const RolloutGroup& group : batch.sampled)
    if (trained.count(group.problem.index) == 0) unused.insert(group.problem.index);
  const nlohmann::ordered_json line = {{"step", step},
                                       {"trained", trained},
                                       {"unused", unused},
                                       {"outstanding", ledger.outstanding()},
                                       {"handed_out", ledger.handed_out()}};
  file_->append(line.dump());
}

void LedgerLog::sync() {
  if (file_) file_->sync();
}

void LedgerLog::rewind(int64_t position) {
  if (file_) file_->rewind(position);
}

}  // namespace terse::rl
