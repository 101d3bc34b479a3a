// Asks ParamLayout for the sizes. All blocks are alike, so the layout of one block serves for a model of any depth.
#include "launch/plan/model_size.h"

#include "trainer/model/param_layout.h"

namespace terse::launch::plan {

namespace {

trainer::ParamLayout layout_with_one_block(ModelSpec spec) {
  spec.layers = 1;
  return trainer::ParamLayout(spec);
}

}  // namespace

std::vector<double> unit_sizes(const ModelSpec& spec) {
  const trainer::ParamLayout layout = layout_with_one_block(spec);
  const auto size = [&](size_t unit) { return static_cast<double>(layout.units[unit].size()); };
  std::vector<double> units = {size(0)};
  units.insert(units.end(), static_cast<size_t>(spec.layers), size(1));
  units.push_back(size(2));
  return units;
}

double flops_per_token(const ModelSpec& spec, double sequence_length) {
  const trainer::ParamUnit block = layout_with_one_block(spec).units[1];
  const double matrices = static_cast<double>(block.decayed_end - block.begin);
  const double weights =
      static_cast<double>(spec.layers) * matrices + static_cast<double>(spec.hidden_size * spec.vocab);
  return 6 * weights + 6 * static_cast<double>(spec.layers * spec.attention_size()) * sequence_length;
}

}  // namespace terse::launch::plan
