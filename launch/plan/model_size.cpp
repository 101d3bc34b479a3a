// Asks ParamLayout for the sizes. All blocks are alike, so the layout of one block serves for a model of any depth.
#include "launch/plan/model_size.h"

#include "trainer/model/param_layout.h"

namespace terse::launch::plan {

namespace {

using trainer::WeightSet;

trainer::ParamLayout layout_with_one_block(ModelSpec spec, WeightSet set) {
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

}  // namespace

std::vector<double> unit_sizes(const ModelSpec& spec) {
  return sizes(spec, WeightSet::kModel);
}

std::vector<double> trained_sizes(const ModelSpec& spec) {
  return sizes(spec, spec.has_adapters() ? WeightSet::kAdapters : WeightSet::kModel);
}

}  // namespace terse::launch::plan
