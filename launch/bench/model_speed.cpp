// Uses random weights and random tokens: the time of dense products does not depend on them.
#include "launch/bench/model_speed.h"

#include <random>

#include "data/pack.h"
#include "launch/bench/timing.h"
#include "launch/plan/model_size.h"
#include "rl/engine/engine.h"
#include "trainer/optimizer.h"
#include "trainer/train.h"

namespace terse::launch::bench {

namespace {

constexpr int kLeast = 3;

std::vector<int32_t> random_tokens(int64_t count, int64_t vocab, std::mt19937& random) {
  std::vector<int32_t> tokens;
  while (std::ssize(tokens) < count) tokens.push_back(static_cast<int32_t>(random() % static_cast<uint64_t>(vocab)));
  return tokens;
}

}  // namespace

TrainingSpeed measure_training(const trainer::ModelSpec& spec, torch::Device device, const TrainingShape& shape,
                               double seconds) {
  trainer::Transformer model(spec, device, 1);
  trainer::AdamW optimizer(model.params(), configs::Optimizer{});
  std::mt19937 random(1);
  std::vector<data::Sequence> sequences;
  for (int64_t i = 0; i < shape.sequences; ++i) {
    data::Sequence sequence{random_tokens(shape.tokens, spec.vocab, random), {}};
    sequence.weights.assign(sequence.tokens.size(), 1);
    sequence.weights[0] = 0;
    sequences.push_back(std::move(sequence));
  }
  const trainer::BatchShare batch{data::pack(sequences), shape.sequences};
  const double time = median_seconds(seconds, kLeast, [&] {
    model.params().zero_grad();
    trainer::accumulate_cross_entropy(model, batch, 0);
    optimizer.step(1e-6);  // reads the norm of the gradient, so a GPU has finished the passes
  });
  const double tokens = static_cast<double>(shape.sequences * shape.tokens);
  const double flops = tokens * plan::flops_per_token(spec, static_cast<double>(shape.tokens));
  return {time, tokens / time, flops / time};
}

GenerationSpeed measure_generation(const trainer::ModelSpec& spec, torch::Device device, const GenerationShape& shape,
                                   double seconds) {
  trainer::Transformer model(spec, device, 1);
  rl::Engine engine(model, {.max_batch = shape.sequences, .speculative_tokens = 0});  // a step is one token of each
  std::mt19937 random(1);
  const auto time_of = [&](int64_t new_tokens) {
    std::vector<rl::GenerationRequest> requests(static_cast<size_t>(shape.prompts));
    for (rl::GenerationRequest& request : requests) {
      request.prompt = random_tokens(shape.prompt_tokens, spec.vocab, random);
      request.sampling.max_new_tokens = new_tokens;
      request.sampling.n = shape.sequences / shape.prompts;
    }
    return median_seconds(seconds, kLeast, [&] { engine.generate(requests); });
  };
  const double prompts = time_of(1), whole = time_of(shape.new_tokens);
  double parameters = 0;
  for (const double unit : plan::unit_sizes(spec)) parameters += unit;
  const double sequences = static_cast<double>(shape.sequences), added = static_cast<double>(shape.new_tokens);
  const double context = static_cast<double>(shape.prompt_tokens) + added / 2;
  return {whole, sequences * added / whole, (whole - prompts) / (added - 1), parameters * (spec.bf16 ? 2 : 4),
          sequences * plan::forward_flops_per_token(spec, 2 * context)};
}

}  // namespace terse::launch::bench
