// Divides units evenly, without the whole blocks that trainer/model/sharding.h divides them into.
#include "launch/plan/planned_sharding.h"

#include <algorithm>
#include <cmath>

namespace terse::launch::plan {

Group PlannedSharding::shard() const {
  if (hierarchical) return {std::min(ranks, ranks_per_node), 1};
  return {ranks, nodes()};
}

Group PlannedSharding::replicas() const {
  if (!hierarchical) return {1, 1};
  return {nodes(), nodes()};
}

double shard_elements(const std::vector<double>& units, int64_t ranks) {
  double sum = 0;
  for (const double unit : units) sum += std::ceil(unit / static_cast<double>(ranks));
  return sum;
}

}  // namespace terse::launch::plan
