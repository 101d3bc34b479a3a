// Holds the model of a distributed step against published points of scaling (tests/support/scaling_points.h):
//   scaling_fit         a row for each point, with the constants of configs/hardware, as in docs/scaling.md
//   scaling_fit --fit   searches the constants with the least squared error over the points to fit; the held-out
//                       points are not looked at
#include <fmt/format.h>

#include <array>
#include <map>
#include <string_view>

#include "tests/support/scaling_model.h"

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

// One value of each for all machines.
struct Constants {
  double network_share, overlap, contention, jitter;
  Hardware applied(Hardware machine) const {
    machine.network_share = network_share;
    machine.overlap = overlap;
    machine.contention = contention;
    machine.jitter = jitter;
    return machine;
  }
};

double squared_error(const Constants& constants) {
  double sum = 0;
  for (const ScalingPoint& point : terse::support::scaling_points()) {
    if (point.role != Role::kFit) continue;
    const double error = terse::support::simulated_efficiency(constants.applied(shipped(point)), point) -
                         terse::support::published_efficiency(point);
    sum += error * error;
  }
  return sum;
}

// A grid: four numbers, all of which mean something, need no cleverer search.
void fit() {
  Constants best{};
  double least = 1e300;
  for (int share = 5; share <= 9; ++share)
    for (int overlap = 5; overlap <= 10; ++overlap)
      for (int contention = 0; contention <= 6; ++contention)
        for (int jitter = 0; jitter <= 30; ++jitter) {
          const Constants constants{share / 10.0, overlap / 10.0, 1 + contention / 20.0, jitter / 1000.0};
          const double error = squared_error(constants);
          if (error < least) best = constants, least = error;
        }
  fmt::print("network_share: {}\noverlap: {}\ncontention: {}\njitter: {}\n", best.network_share, best.overlap,
             best.contention, best.jitter);
  fmt::print("squared error over the points to fit: {:.2f}\n", least);
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
