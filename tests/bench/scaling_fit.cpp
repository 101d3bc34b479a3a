// Compares the model of a distributed step with published scaling results (tests/support/references/scaling_points.h):
//   scaling_fit         prints a row for each point, with the constants of configs/hardware, as in docs/scaling.md
//   scaling_fit --fit   searches the constants with the least squared error over the points to fit
// The search does not use the held-out points.
#include <fmt/format.h>

#include <map>
#include <string_view>

#include "tests/support/references/scaling_model.h"

namespace {

using terse::configs::Hardware;
using terse::support::Role;
using terse::support::ScalingPoint;

const Hardware& shipped(const ScalingPoint& point) {
  static std::map<std::string, Hardware> machines;
  auto found = machines.find(point.machine);
  if (found == machines.end())
    found = machines.emplace(point.machine, terse::configs::load_hardware(point.machine)).first;
  return found->second;
}

// Returns the squared error over the points to fit. All machines have the same two constants.
double squared_error(double network_share, double jitter) {
  double sum = 0;
  for (const ScalingPoint& point : terse::support::scaling_points()) {
    if (point.role != Role::kFit) continue;
    Hardware machine = shipped(point);
    machine.network_share = network_share;
    machine.jitter = jitter;
    const double error =
        terse::support::simulated_efficiency(machine, point) - terse::support::published_efficiency(point);
    sum += error * error;
  }
  return sum;
}

// Fits two constants by grid search. Overlap and contention come from other measurements, so they keep the values of
// the hardware files.
void fit() {
  double best_share = 0, best_jitter = 0, least = 1e300;
  for (int share = 30; share <= 95; share += 5) {
    for (int jitter = 0; jitter <= 60; ++jitter) {
      const double error = squared_error(share / 100.0, jitter / 1000.0);
      if (error < least) best_share = share / 100.0, best_jitter = jitter / 1000.0, least = error;
    }
  }
  fmt::print("network_share: {}\njitter: {}\nsquared error over the points to fit: {:.2f}\n", best_share, best_jitter,
             least);
}

void print_points() {
  fmt::print(
      "| point | machine | GPUs | role | published % | simulated % | error |\n|---|---|---|---|---:|---:|---:|\n");
  for (const ScalingPoint& point : terse::support::scaling_points()) {
    const double published = terse::support::published_efficiency(point);
    const double simulated = terse::support::simulated_efficiency(shipped(point), point);
    fmt::print("| {} | {} | {} to {} | {} | {:.1f} | {:.1f} | {:+.1f} |\n", point.name, point.machine, point.from,
               point.to, point.role == Role::kFit ? "fit" : "held out", published, simulated, simulated - published);
  }
  for (const Role role : {Role::kFit, Role::kHeldOut}) {
    const auto errors = terse::support::errors_of(role, shipped);
    fmt::print("{}: {} points, mean error {:.2f}, worst {:.2f}\n", role == Role::kFit ? "fit" : "held out",
               errors.count, errors.mean, errors.worst);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--fit") {
    fit();
  } else {
    print_points();
  }
}
