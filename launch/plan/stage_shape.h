// How a stage's work is split: from the configuration to sequences, passes and updates of one rank.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "launch/plan/plan.h"

namespace terse::launch::plan {

struct StageShape {
  int64_t steps = 0, eval_every = 0;
  int64_t validated = 0;  // sequences of a validation loss that all ranks run at once
  int64_t sequences = 0;  // in one update, over all ranks
  std::vector<int64_t>
      batches;  // over all ranks; those of rollouts, demonstrations and the student take separate passes
  int64_t sequence_tokens = 0;  // of the longest sequence
  int64_t loss_rows = 0;        // in one sequence
  int64_t micro_batch = 0;      // sequences in one pass of one rank
  int64_t own_sequences = 0;    // in one update on one rank
  int64_t updates = 1;          // in one step
  int64_t learners = 1;         // ranks that learn
  int64_t generators = 1;       // ranks that generate: the same ones, or (split layout) the others
  int64_t rollouts = 0;         // in one step, over all ranks; RL only
  int64_t student_updates = 0;  // of the student in one step, besides `updates`, with student_sequences each
  int64_t student_sequences = 0;

  int64_t passes() const { return (own_sequences + micro_batch - 1) / micro_batch; }
  int64_t share(int64_t of_all) const { return (of_all + learners - 1) / learners; }
  int64_t largest_share() const { return share(*std::max_element(batches.begin(), batches.end())); }
  Pass pass_of(int64_t count) const { return {count * sequence_tokens, count * loss_rows}; }
};

StageShape shape_of(const Run& run, const std::string& stage);

PlannedSharding sharding_of(const Run& run, int64_t learners);
// The rollouts of a step on one rank, and the evaluations between steps, which may need more.
Generation generation_of(const Run& run, const StageShape& shape);
// The evaluation after the steps.
Generation evaluation_of(const Run& run, const StageShape& shape);

}  // namespace terse::launch::plan
