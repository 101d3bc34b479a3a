// Simulates a published measurement of scaling with the step-time model of terse (launch/plan/step_time.h).
#pragma once

#include <cmath>

#include "launch/plan/step_time.h"
#include "tests/support/references/scaling_points.h"

namespace terse::support {

inline launch::plan::StepWork work_of(const ScalingPoint& point, int64_t ranks, double tokens, double seconds_a_token) {
  launch::plan::StepWork work;
  const double table = static_cast<double>(point.vocab * point.width);
  work.units = {table};
  work.units.insert(work.units.end(), static_cast<size_t>(point.layers), point.block);
  work.units.push_back(point.tied ? 1.0 : table);
  work.sharding = {ranks, 8, 3, point.hierarchical};
  work.micro_batches = point.micro_batches;
  work.compute_seconds = tokens * static_cast<double>(point.micro_batches) * seconds_a_token;
  work.forward_share = point.recompute ? 0.25 : 1.0 / 3;
  work.gather_bytes = point.gather_bytes;
  work.reduce_bytes = point.reduce_bytes;
  return work;
}

inline double simulated_rate(const configs::Hardware& machine, const ScalingPoint& point, int64_t ranks, double tokens,
                             double seconds_a_token) {
  const auto time = launch::plan::step_time(machine, work_of(point, ranks, tokens, seconds_a_token));
  return tokens * static_cast<double>(point.micro_batches) / time.total();
}

// In per cent. The compute speed of one GPU is not part of the prediction: it is chosen so that the simulated rate on
// `from` GPUs equals the published one.
inline double simulated_efficiency(const configs::Hardware& machine, const ScalingPoint& point) {
  double low = 0, high = 1 / point.from_rate;  // seconds a token; communication can only add to them
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    const bool slow = simulated_rate(machine, point, point.from, point.from_tokens, middle) < point.from_rate;
    (slow ? high : low) = middle;
  }
  return 100 * simulated_rate(machine, point, point.to, point.to_tokens, low) / point.from_rate;
}

inline double published_efficiency(const ScalingPoint& point) {
  return 100 * point.to_rate / point.from_rate;
}

struct Errors {
  double mean = 0, worst = 0;  // absolute, in points of efficiency
  int64_t count = 0;
};

template <class MachineOf>
Errors errors_of(Role role, const MachineOf& machine_of) {
  Errors errors;
  for (const ScalingPoint& point : scaling_points()) {
    if (point.role != role) continue;
    const double error = std::abs(simulated_efficiency(machine_of(point), point) - published_efficiency(point));
    errors.mean += error;
    errors.worst = std::max(errors.worst, error);
    errors.count += 1;
  }
  errors.mean /= static_cast<double>(errors.count);
  return errors;
}

}  // namespace terse::support
