// How a stage's work is split: from the configuration to sequences, passes and updates of one rank.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "launch/plan/plan.h"
#include "trainer/gradient_plan.h"

namespace terse::launch::plan {

// A batch that takes passes of its own.
struct PlannedBatch {
  int64_t items = 0;    // over all ranks: windows, problems, traces or rollouts
  int64_t sharing = 1;  // items behind one copy of their prompt, which are never split
  int64_t sequences() const { return (items + sharing - 1) / sharing; }
};

struct StageShape {
  int64_t steps = 0, eval_every = 0;
  int64_t validated = 0;              // sequences of a validation loss that all ranks run at once
  int64_t sequences = 0;              // in one update, over all ranks
  std::vector<PlannedBatch> batches;  // rollouts (or the only batch), demonstrations, those of the student
  int64_t sequence_tokens = 0;        // of the longest sequence
  int64_t prompt_rows = 0;            // of them, those that its prompt can share: all of its tokens but the last
  int64_t loss_rows = 0;              // in one sequence
  trainer::PassLimit limit;
  int64_t micro_batch = 0;      // sequences in the largest pass of one rank
  int64_t own_sequences = 0;    // in one update on one rank
  int64_t updates = 1;          // in one step
  int64_t learners = 1;         // ranks that learn
  int64_t generators = 1;       // ranks that generate: the same ones, or (split layout) the others
  int64_t rollouts = 0;         // in one step, over all ranks; RL only
  int64_t student_updates = 0;  // of the student in one step, besides `updates`, with student_sequences each
  int64_t student_sequences = 0;

  int64_t passes() const { return (own_sequences + micro_batch - 1) / micro_batch; }
  int64_t share(int64_t of_all) const { return (of_all + learners - 1) / learners; }
  // A pass of `items` of a batch.
  Pass pass_of(const PlannedBatch& batch, int64_t items) const {
    const int64_t prompts = (items + batch.sharing - 1) / batch.sharing;
    return {items * (sequence_tokens - prompt_rows) + prompts * prompt_rows, items * loss_rows};
  }
  // The most sequences of a batch that one pass takes.
  int64_t most_sequences(const PlannedBatch& batch) const;
};

StageShape shape_of(const Run& run, const std::string& stage);

PlannedSharding sharding_of(const Run& run, int64_t learners);
// The rollouts of a step on one rank, and the evaluations between steps, which may need more.
Generation generation_of(const Run& run, const StageShape& shape);
// The evaluation after the steps.
Generation evaluation_of(const Run& run, const StageShape& shape);

}  // namespace terse::launch::plan
