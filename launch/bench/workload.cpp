// The scopes are the outermost events of a profile (profile.h).
#include "launch/bench/workload.h"

#include <random>

#include "data/pack.h"
#include "trainer/model/profile_scope.h"

namespace terse::launch::bench {

namespace {

std::vector<int32_t> random_tokens(int64_t count, int64_t vocab, std::mt19937& random) {
  std::vector<int32_t> tokens;
  while (std::ssize(tokens) < count) tokens.push_back(static_cast<int32_t>(random() % static_cast<uint64_t>(vocab)));
  return tokens;
}

}  // namespace

Training::Training(const trainer::ModelSpec& spec, torch::Device device, const TrainingShape& shape)
    : model_(spec, device, 1), optimizer_(model_.params(), configs::Optimizer{}), shape_(shape) {
  std::mt19937 random(1);
  std::vector<data::Sequence> sequences;
  for (int64_t i = 0; i < shape.sequences; ++i) {
    data::Sequence sequence{random_tokens(shape.tokens, spec.vocab, random), {}};
    sequence.weights.assign(sequence.tokens.size(), 1);
    sequence.weights[0] = 0;
    sequences.push_back(std::move(sequence));
  }
  batch_ = {data::pack(sequences), shape.sequences};
}

void Training::update() {
  const trainer::ProfileScope scope("update");
  model_.params().zero_grad();
  trainer::accumulate_cross_entropy(model_, batch_, {});
  optimizer_.step(1e-6);  // reads the norm of the gradient, so a GPU has finished the passes
}

trainer::TokenWork Training::work() const {
  const double sequences = static_cast<double>(shape_.sequences), tokens = static_cast<double>(shape_.tokens);
  return {sequences * tokens, sequences * (tokens - 1), sequences * tokens * tokens};
}

Generation::Generation(const trainer::ModelSpec& spec, torch::Device device, const GenerationShape& shape)
    : model_(spec, device, 1),
      // A step is one token of each, and every run reads its prompts.
      engine_(model_, {.max_batch = shape.sequences, .speculative_tokens = 0, .prefix_caching = false}),
      requests_(static_cast<size_t>(shape.prompts)) {
  std::mt19937 random(1);
  for (rl::GenerationRequest& request : requests_) {
    request.prompt = random_tokens(shape.prompt_tokens, spec.vocab, random);
    request.sampling.n = shape.sequences / shape.prompts;
    request.sampling.transform = shape.transform;
  }
}

void Generation::run(int64_t new_tokens) {
  for (rl::GenerationRequest& request : requests_) request.sampling.max_new_tokens = new_tokens;
  const trainer::ProfileScope scope("generation");
  engine_.generate(requests_);
}

}  // namespace terse::launch::bench
