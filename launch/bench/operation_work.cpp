// The operations of a model are linear in each part of its work (trainer::TokenWork), so a part alone gives those of
// one operation.
#include "launch/bench/operation_work.h"

namespace terse::launch::bench {

OperationWork update_work(const trainer::Transformer& model, const trainer::TokenWork& work) {
  OperationWork result;
  const auto add = [&](const char* operation, const trainer::TokenWork& part) {
    const double forward = forward_flops(model.spec(), part);
    result[{"forward", operation}].flops = forward;
    result[{"backward", operation}].flops = training_flops(model.spec(), part) - forward;
  };
  add("linear", {work.tokens, 0, 0});
  add("head and log-probs", {0, work.head_rows, 0});
  add("RoPE and attention", {0, 0, work.squared_lengths});
  // fp32: the gradient, both moments and the master weights are read, and the last three written.
  const double trained = static_cast<double>(model.params().size());
  result[{"optimizer", "gradient norm"}].bytes = 4 * trained;
  result[{"optimizer", "AdamW"}].bytes = 28 * trained;
  return result;
}

OperationWork generation_work(const trainer::ModelSpec& spec, const GenerationShape& shape) {
  const double sequences = static_cast<double>(shape.sequences), prompt = static_cast<double>(shape.prompt_tokens);
  const double steps = static_cast<double>(shape.new_tokens - 1);  // the prompts give the first tokens
  const double element = spec.bf16 ? 2 : 4, key_element = spec.bf16_kv ? 2 : 4;
  // The token of step s attends to the prompt and to s tokens after it.
  const double attended = sequences * steps * (prompt + (steps + 1) / 2);
  const double cached = 2 * static_cast<double>(spec.layers * spec.kv_heads * spec.head_dim) * attended;
  OperationWork result;
  result[{"prefill", "linear"}].flops = forward_flops(spec, {sequences * prompt, sequences, 0});
  result[{"prefill", "RoPE and attention"}].flops = forward_flops(spec, {0, 0, sequences * prompt * prompt});
  result[{"decode", "linear"}] = {forward_flops(spec, {sequences * steps, sequences * steps, 0}),
                                  steps * element * forward_flops(spec, {1, 1, 0}) / 2};
  result[{"decode", "RoPE and attention"}] = {forward_flops(spec, {0, 0, 2 * attended}), key_element * cached};
  return result;
}

}  // namespace terse::launch::bench
