// The table of index spaces. Checkpoints hold indices, so the bounds must not change.
#include "rl/tasks/index_space.h"

#include <fmt/format.h>

#include <iterator>
#include <stdexcept>

#include "data/permutation.h"

namespace terse::rl {

namespace {

struct Bounds {
  IndexSpace space;
  const char* name;
  int64_t first, end;
};
constexpr Bounds kSpaces[kIndexSpaces] = {
    {IndexSpace::kSft, "supervised fine-tuning", 0, int64_t{1} << 32},
    {IndexSpace::kRollout, "rollouts", int64_t{1} << 32, int64_t{1} << 40},
    {IndexSpace::kDemonstrations, "demonstrations", int64_t{1} << 40, int64_t{1} << 41},
    {IndexSpace::kStudent, "student updates", int64_t{1} << 41, int64_t{1} << 42},
    {IndexSpace::kGate, "the promotion gate", int64_t{1} << 42, int64_t{1} << 43},
};

const Bounds& bounds_of(IndexSpace space) {
  return kSpaces[static_cast<size_t>(space)];
}

}  // namespace

int64_t first_index(IndexSpace space) {
  return bounds_of(space).first;
}

int64_t index_in(IndexSpace space, int64_t n) {
  const Bounds& bounds = bounds_of(space);
  if (n < 0 || n >= bounds.end - bounds.first) {
    throw std::out_of_range(fmt::format("there is no training item {} for {}; expected 0 to {}", n, bounds.name,
                                        bounds.end - bounds.first - 1));
  }
  return bounds.first + n;
}

int64_t place_in_space(int64_t index) {
  return index - first_index(space_of(index));
}

int64_t item_in_epoch(int64_t index, int64_t size, int64_t seed) {
  const int64_t n = place_in_space(index);
  const uint64_t order = static_cast<uint64_t>(seed) ^ static_cast<uint64_t>(first_index(space_of(index)));
  return data::Permutation(order, static_cast<uint64_t>(n / size), size)(n % size);
}

IndexSpace space_of(int64_t index) {
  for (const Bounds& bounds : kSpaces) {
    if (index >= bounds.first && index < bounds.end) return bounds.space;
  }
  throw std::out_of_range(
      fmt::format("{} is no index of a training item; expected 0 to {}", index, std::rbegin(kSpaces)->end - 1));
}

}  // namespace terse::rl
