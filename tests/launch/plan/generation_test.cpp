// Compares the planned bytes of generation (launch/plan/memory.h) with the tensors that the engine allocates.
#include <gtest/gtest.h>

#include "launch/plan/memory.h"
#include "rl/engine/engine.h"
#include "tests/support/tensor_bytes.h"

namespace terse::launch::plan {
namespace {

trainer::ModelSpec spec_of(const std::string& precision) {
  configs::Model model;
  model.layers = 3;
  model.hidden_size = 96;
  model.heads = 6;
  model.kv_heads = 2;
  model.max_seq_len = 2 * rl::kPageTokens;  // the requests below use it to the end
  model.precision = precision;
  return trainer::resolve(model, 300);
}

void expect_close(const std::string& precision) {
  trainer::Transformer model(spec_of(precision), torch::kCPU, 1);
  const Generation generation{.sequences = 32, .prompt_tokens = 40, .requests = 32, .prompts = 32};
  const support::CountTensorBytes count;
  rl::Engine engine(model, {generation.sequences});
  const double kept = count.bytes().now();
  const double planned = total_bytes(engine_bytes(model.spec(), generation, false));
  EXPECT_NEAR(planned / kept, 1, 0.05) << "planned " << planned << ", used " << kept;

  rl::SamplingParams sampling;
  sampling.max_new_tokens = 20;
  std::vector<rl::GenerationRequest> requests;
  for (int32_t r = 0; r < 32; ++r)
    requests.push_back({.prompt = std::vector<int32_t>(40, r), .sampling = sampling, .key = r});
  engine.generate(requests);
  const double step = count.bytes().peak() - kept;
  const double step_planned = decoding_bytes(model.spec(), generation, false);
  // The plan is an upper bound within a factor of about 2, because not all tensors of a block live at once.
  EXPECT_GE(step_planned, step) << precision;
  EXPECT_LE(step_planned, 2.1 * step) << precision;
}

TEST(PlanGeneration, KernelDecoderUsesWhatIsPlanned) {
  expect_close("fp32");
}

TEST(PlanGeneration, LibTorchDecoderUsesWhatIsPlanned) {
  expect_close("bf16");
}

}  // namespace
}  // namespace terse::launch::plan
