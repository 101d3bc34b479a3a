// Asks ParamLayout for the sizes. All blocks are alike, so the layout of one block serves for a model of any depth.
#include "launch/plan/model_size.h"

#include <numeric>

#include "trainer/model/param_layout.h"

namespace terse::launch::plan {

namespace {

using trainer::WeightSet;

trainer::ParamLayout layout_with_one_block(ModelSpec spec, WeightSet set = WeightSet::kModel) {
  spec.layers = 1;
  return trainer::ParamLayout(spec, set);
}

std::vector<double> sizes(const ModelSpec& spec, WeightSet set) {
  const trainer::ParamLayout layout = layout_with_one_block(spec, set);
  const auto size = [&](size_t unit) { return static_cast<double>(layout.units[unit].size()); };
  std::vector<double> units = {size(0)};
  units.insert(units.end(), static_cast<size_t>(spec.layers), size(1));
  units.push_back(size(2));
  return units;
}

// The weights that multiply a token.
double multiplying_weights(const ModelSpec& spec) {
  const trainer::ParamUnit block = layout_with_one_block(spec).units[1];
  const double matrices = static_cast<double>(block.decayed_end - block.begin);
  return static_cast<double>(spec.layers) * matrices + static_cast<double>(spec.hidden_size * spec.vocab);
}

double adapter_weights(const ModelSpec& spec) {
  const std::vector<double> adapters = sizes(spec, WeightSet::kAdapters);
  return std::accumulate(adapters.begin(), adapters.end(), 0.0);
}

}  // namespace

std::vector<double> unit_sizes(const ModelSpec& spec) {
  return sizes(spec, WeightSet::kModel);
}

std::vector<double> trained_sizes(const ModelSpec& spec) {
  return sizes(spec, spec.has_adapters() ? WeightSet::kAdapters : WeightSet::kModel);
}

double flops_per_token(const ModelSpec& spec, double sequence_length) {
  const double attention = 6 * static_cast<double>(spec.layers * spec.attention_size()) * sequence_length;
  const double of_a_weight = spec.has_adapters() ? 4 : 6;
  return of_a_weight * multiplying_weights(spec) + 6 * adapter_weights(spec) + attention;
}

double forward_flops_per_token(const ModelSpec& spec, double sequence_length) {
  const double attention = 2 * static_cast<double>(spec.layers * spec.attention_size()) * sequence_length;
  return 2 * (multiplying_weights(spec) + adapter_weights(spec)) + attention;
}

}  // namespace terse::launch::plan
