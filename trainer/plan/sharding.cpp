// Counts parameters from the options of the model. The total must equal the size of FlatParams.
#include "trainer/plan/sharding.h"

#include <algorithm>
#include <cmath>

namespace terse::trainer::plan {

std::vector<double> unit_sizes(const ModelSpec& spec) {
  const int64_t attention = spec.attention_width(), kv = spec.kv_heads * spec.head_width;
  int64_t block = spec.qkv_width() * spec.width + spec.width * attention + 3 * spec.ffn_width * spec.width;
  block += 2 * spec.width;  // norms
  if (spec.qkv_bias) block += attention + 2 * kv;
  if (spec.qk_norm) block += 2 * spec.head_width;
  const double table = static_cast<double>(spec.vocab * spec.width), norm = static_cast<double>(spec.width);
  std::vector<double> units = {table};
  units.insert(units.end(), static_cast<size_t>(spec.layers), static_cast<double>(block));
  units.push_back(spec.tie_embeddings ? norm : norm + table);
  return units;
}

Group Sharding::shard() const {
  if (hierarchical) return {std::min(ranks, ranks_per_node), 1};
  return {ranks, nodes()};
}

Group Sharding::replicas() const {
  if (!hierarchical) return {1, 1};
  return {nodes(), nodes()};
}

double shard_elements(const std::vector<double>& units, int64_t ranks) {
  double sum = 0;
  for (const double unit : units) sum += std::ceil(unit / static_cast<double>(ranks));
  return sum;
}

}  // namespace terse::trainer::plan
