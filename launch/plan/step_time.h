// The time of one update of a data-parallel run: computing, communication that computing does not hide, the optimizer,
// and waiting for the slowest rank. These times add up to the step. The constants come from the hardware file.
//
// The ranks send the following per unit of parameters (planned_sharding.h). A gathered element has g bytes, a reduced
// one has r bytes:
//   ZeRO-1: reduce_scatter of gradients after the last micro-batch; all_gather of weights after the update, behind the
//           next forward pass
//   ZeRO-2: reduce_scatter after every micro-batch; all_gather as above
//   ZeRO-3: all_gather before forward and again before backward, reduce_scatter after backward, of every micro-batch
//   hierarchical: the same inside each node, and one all_reduce of each shard across nodes a step
#pragma once

#include <cstdint>
#include <vector>

#include "configs/hardware.h"
#include "launch/plan/planned_sharding.h"

namespace terse::launch::plan {

// The work of one update.
struct StepWork {
  std::vector<double> units;  // elements
  PlannedSharding sharding;
  double compute_seconds = 0;  // forward and backward of all micro-batches on one rank, without communication beside it
  double forward_share = 1.0 / 3;  // share of forward in compute_seconds; 1/4 when backward runs forward again
  int64_t micro_batches = 1;
  double gather_bytes = 4;      // per element of gathered weights
  double reduce_bytes = 4;      // per element of reduced gradients
  double optimizer_bytes = 28;  // read and written per element by the update: masters, moments, gradient, new weights
};

struct StepTime {
  double compute = 0;  // including the slowdown by communication beside it
  double exposed = 0;  // waiting for communication
  double optimizer = 0;
  double slowest_rank = 0;   // expected wait for the slowest of all ranks
  double communication = 0;  // hidden or not; not part of the sum
  Volume volume;             // bytes that each rank sends

  double total() const { return compute + exposed + optimizer + slowest_rank; }
  double communication_share() const { return total() > 0 ? exposed / total() : 0; }
};

StepTime step_time(const configs::Hardware& machine, const StepWork& work);

// E[max of n normal numbers] <= sigma sqrt(2 ln n), in multiples of sigma; 0 for one rank.
double expected_maximum(int64_t ranks);

}  // namespace terse::launch::plan
