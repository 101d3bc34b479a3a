// ledger.jsonl in the run folder: a line for every step, with the problems whose groups it trained on (`trained`),
// those it saw but left out because they taught nothing (`unused`), those still to come (`outstanding`), and how many
// have been handed out so far. So anyone can check that none was lost and none used twice: `terse verify` does.
#pragma once

#include "rl/rollout_source.h"
#include "trainer/metrics/metric_logger.h"

namespace terse::rl {

class LedgerLog {
 public:
  static constexpr const char* kFile = "ledger.jsonl";

  explicit LedgerLog(trainer::MetricLogger& record) : record_(record) {}
  // Throws trainer::MetricsError.
  void add(int64_t step, const RolloutBatch& batch, const Ledger& ledger);

 private:
  trainer::MetricLogger& record_;
};

}  // namespace terse::rl
