// Writes ledger.jsonl in the run folder, one line per step. A line lists the problems whose groups the step trained on
// (`trained`), those whose groups taught nothing and were left out (`unused`), those still outstanding (`outstanding`),
// and the number of problems assigned so far (`handed_out`). In a mixture, `tasks` says which task made the problems of
// `trained` and `unused`. From these lines `terse verify` checks that no problem
// was lost and none was used twice.
#pragma once

#include "rl/rollout_source.h"
#include "trainer/metrics/metric_logger.h"

namespace terse::rl {

class LedgerLog {
 public:
  static constexpr const char* kFile = "ledger.jsonl";

  explicit LedgerLog(trainer::MetricLogger& record) : record_(record) {}
  // Appends the line of a step. Throws trainer::MetricsError when it cannot be written.
  void add(int64_t step, const RolloutBatch& batch, const Ledger& ledger);

 private:
  trainer::MetricLogger& record_;
};

}  // namespace terse::rl
