// Adds up the collectives of all units, and subtracts the part that forward and backward passes hide.
#include "launch/plan/step_time.h"

#include <algorithm>
#include <cmath>

namespace terse::launch::plan {

namespace {

// The collectives that run beside one stretch of computing.
struct Stretch {
  double window = 0;     // seconds of computing
  double seconds = 0;    // of communication
  double uncovered = 0;  // part of it that nothing can hide: the first gather, the last reduction

  double exposed(double overlap) const { return std::max(uncovered, seconds - overlap * window); }
};

struct Traffic {
  const configs::Hardware& machine;
  const StepWork& work;
  Volume volume = {};

  double all(Collective kind, double element_bytes, Group group, double divisor = 1) {
    double seconds = 0;
    for (const double unit : work.units) {
      const double bytes = unit * element_bytes / divisor;
      seconds += collective_seconds(machine, kind, bytes, group);
      volume += collective_volume(kind, bytes, group);
    }
    return seconds;
  }
  double first(Collective kind, double element_bytes, Group group) const {
    return collective_seconds(machine, kind, work.units.front() * element_bytes, group);
  }
  void repeat(int64_t times) {
    volume.node *= static_cast<double>(times);
    volume.network *= static_cast<double>(times);
  }
};

}  // namespace

double expected_maximum(int64_t ranks) {
  return ranks > 1 ? std::sqrt(2 * std::log(static_cast<double>(ranks))) : 0;
}

StepTime step_time(const configs::Hardware& machine, const StepWork& work) {
  const Group shard = work.sharding.shard(), replicas = work.sharding.replicas();
  const int64_t m = work.micro_batches, zero = work.sharding.zero;
  const double passes = static_cast<double>(m), forward = work.compute_seconds * work.forward_share;
  const double backward = work.compute_seconds - forward;
  const int64_t gathers = zero == 3 ? m : 1, reductions = zero == 1 ? 1 : m;

  Traffic gather{machine, work}, reduce{machine, work}, across{machine, work};
  const double gather_all = gather.all(Collective::kAllGather, work.gather_bytes, shard);
  const double reduce_all = reduce.all(Collective::kReduceScatter, work.reduce_bytes, shard);
  const double across_all =
      across.all(Collective::kAllReduce, work.reduce_bytes, replicas, static_cast<double>(shard.ranks));

  // Gathers overlap forward: at ZeRO-1 and 2, that of the next step's first micro-batch. The rest overlaps backward.
  Stretch in_forward{zero == 3 ? forward : forward / passes, gather_all * static_cast<double>(gathers),
                     gather.first(Collective::kAllGather, work.gather_bytes, shard)};
  Stretch in_backward{zero == 1 ? backward / passes : backward,
                      reduce_all * static_cast<double>(reductions) + across_all,
                      reduce.first(Collective::kReduceScatter, work.reduce_bytes, shard)};
  if (zero == 3) in_backward.seconds += gather_all * passes;

  StepTime time;
  time.communication = in_forward.seconds + in_backward.seconds;
  time.exposed = in_forward.exposed(machine.overlap) + in_backward.exposed(machine.overlap);
  time.compute = work.compute_seconds + (machine.contention - 1) * (time.communication - time.exposed);
  time.optimizer = shard_elements(work.units, shard.ranks) * work.optimizer_bytes / (machine.memory_gbps * 1e9);
  const double busy = time.compute + time.exposed + time.optimizer;
  time.slowest_rank = busy * machine.jitter * expected_maximum(work.sharding.ranks);
  gather.repeat(zero == 3 ? 2 * m : 1);
  reduce.repeat(reductions);
  for (const Traffic* traffic : {&gather, &reduce, &across}) time.volume += traffic->volume;
  return time;
}

}  // namespace terse::launch::plan
