// The time of a new token is the difference between long responses and responses of one token.
#include "launch/bench/model_speed.h"

#include "launch/plan/model_size.h"
#include "trainer/speed/timing.h"

namespace terse::launch::bench {

namespace {

constexpr int kLeast = 3;

}  // namespace

TrainingSpeed measure_training(const trainer::ModelSpec& spec, torch::Device device, const TrainingShape& shape,
                               double seconds) {
  Training training(spec, device, shape);
  const double time = trainer::time_repeated(seconds, kLeast, [&] { training.update(); }).median;
  return {time, training.work().tokens / time, training_flops(spec, training.work()) / time};
}

GenerationSpeed measure_generation(const trainer::ModelSpec& spec, torch::Device device, const GenerationShape& shape,
                                   double seconds) {
  Generation generation(spec, device, shape);
  const auto time_of = [&](int64_t new_tokens) {
    return trainer::time_repeated(seconds, kLeast, [&] { generation.run(new_tokens); }).median;
  };
  const double prompts = time_of(1), whole = time_of(shape.new_tokens);
  double parameters = 0;
  for (const double unit : plan::unit_sizes(spec)) parameters += unit;
  const double sequences = static_cast<double>(shape.sequences), added = static_cast<double>(shape.new_tokens);
  const double context = static_cast<double>(shape.prompt_tokens) + added / 2;
  return {whole, sequences * added / whole, (whole - prompts) / (added - 1), parameters * (spec.bf16 ? 2 : 4),
          sequences * forward_flops(spec, trainer::one_token(2 * context))};
}

}  // namespace terse::launch::bench
