// Asks ParamLayout for the sizes. All blocks are alike, so the layout of one block serves for a model of any depth.
#include "trainer/speed/flops.h"

#include "trainer/model/param_layout.h"

namespace terse::trainer {

namespace {

// Weights that multiply each token, and those of the head.
struct Multiplying {
  double blocks = 0, adapters = 0, head = 0;
};

Multiplying multiplying_weights(const ModelSpec& spec) {
  ModelSpec one = spec;
  one.layers = 1;
  const ParamUnit block = ParamLayout(one).units[1];
  const ParamUnit adapters = ParamLayout(one, WeightSet::kAdapters).units[1];
  const double layers = static_cast<double>(spec.layers);
  return {layers * static_cast<double>(block.decayed_end - block.begin), layers * static_cast<double>(adapters.size()),
          static_cast<double>(spec.hidden_size * spec.vocab)};
}

double attention_flops(const ModelSpec& spec, const TokenWork& work) {
  return 2 * static_cast<double>(spec.layers * spec.attention_size()) * work.squared_lengths;
}

}  // namespace

double forward_flops(const ModelSpec& spec, const TokenWork& work) {
  const Multiplying weights = multiplying_weights(spec);
  return 2 * (weights.blocks + weights.adapters) * work.tokens + 2 * weights.head * work.head_rows +
         attention_flops(spec, work);
}

double training_flops(const ModelSpec& spec, const TokenWork& work) {
  const Multiplying weights = multiplying_weights(spec);
  const double of_a_weight = spec.has_adapters() ? 4 : 6;
  return of_a_weight * (weights.blocks * work.tokens + weights.head * work.head_rows) +
         6 * weights.adapters * work.tokens + 3 * attention_flops(spec, work);
}

std::optional<double> mfu(const ModelSpec& spec, const TokenWork& work, double seconds, double peak) {
  if (work.head_rows == 0) return std::nullopt;
  return training_flops(spec, work) / seconds / peak;
}

}  // namespace terse::trainer
