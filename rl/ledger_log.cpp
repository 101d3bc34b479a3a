// Derives `unused` from a batch: the groups that were taken for the step but are not among those that it trained on.
#include "rl/ledger_log.h"

namespace terse::rl {

void LedgerLog::add(int64_t step, const RolloutBatch& batch, const Ledger& ledger) {
  std::set<int64_t> trained, unused;
  for (const RolloutGroup& group : batch.groups) trained.insert(group.problem.index);
  std::map<std::string, std::set<int64_t>> tasks;
  for (const RolloutGroup& group : batch.sampled) {
    if (trained.count(group.problem.index) == 0) unused.insert(group.problem.index);
    if (!group.problem.task.empty()) tasks[group.problem.task].insert(group.problem.index);
  }
  nlohmann::ordered_json line = {{"step", step},
                                 {"trained", trained},
                                 {"unused", unused},
                                 {"outstanding", ledger.outstanding()},
                                 {"handed_out", ledger.assigned()}};
  if (!tasks.empty()) line["tasks"] = tasks;
  record_.append(kFile, line.dump());
}

}  // namespace terse::rl
