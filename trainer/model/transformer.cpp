// The forward pass, a page.
#include "trainer/model/transformer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

#include "trainer/model/recompute.h"

namespace terse::trainer {

Transformer::Transformer(const ModelSpec& spec, torch::Device device, uint64_t seed)
    : spec_(spec), device_(device), params_(spec, device, seed), rope_(ops::make_rope_table(spec, device)) {}

void Transformer::save(checkpoints::StateDict& state) const {
  for (const ParamInfo& info : params_.layout().infos) state.add(info.name, params_.named_master(info));
}

void Transformer::restore(const checkpoints::StateDict& state) {
  torch::NoGradGuard no_grad;
  for (const ParamInfo& info : params_.layout().infos) {
    const torch::Tensor saved = state.whole(info.name);
    if (saved.sizes() != at::IntArrayRef(info.shape)) {
      throw std::invalid_argument(fmt::format("the checkpoint's {} has shape [{}], the config's model wants [{}]",
                                              info.name, fmt::join(saved.sizes(), ", "), fmt::join(info.shape, ", ")));
    }
    params_.named_master(info).copy_(saved);
  }
  params_.publish();
}

torch::Tensor Transformer::block(const torch::Tensor& x, const BlockWeights& w, const data::Batch& batch) const {
  const torch::Tensor& seg = batch.segments;
  torch::Tensor qkv = ops::linear(ops::rms_norm(x, w.attention_norm, spec_.norm_eps, seg), w.qkv, w.qkv_bias, seg);
  if (spec_.qk_norm) qkv = ops::qk_norm(qkv, w.q_norm, w.k_norm, spec_, seg);
  const torch::Tensor attended = ops::linear(ops::attention(qkv, batch.positions, seg, rope_, spec_), w.out, {}, seg);
  const auto [h, normed] = ops::add_rms_norm(x, attended, w.ffn_norm, spec_.norm_eps, seg);
  return h + ops::linear(ops::swiglu(ops::linear(normed, w.gate_up, {}, seg)), w.down, {}, seg);
}

torch::Tensor Transformer::hidden(const data::Batch& batch) const {
  torch::Tensor x = ops::embed(batch.tokens, params_.embedding(), batch.segments);
  for (const BlockWeights& weights : params_.blocks()) {
    const auto run = [this, &weights, batch](const torch::Tensor& input) { return block(input, weights, batch); };
    x = spec_.activation_checkpointing ? recompute(run, x) : run(x);
  }
  return ops::rms_norm(x, params_.final_norm(), spec_.norm_eps, batch.segments);
}

ops::TokenLogProbs Transformer::logprobs(const data::Batch& batch, const torch::Tensor& rows,
                                         const LogitTransform& transform) const {
  return ops::token_logprobs(hidden(batch).index_select(0, rows), params_.head(), batch.targets.index_select(0, rows),
                             transform, batch.segments_of(rows));
}

data::Batch to_device(const data::Batch& batch, torch::Device device) {
  if (device.is_cpu()) return batch;
  return {batch.tokens.to(device), batch.positions.to(device), batch.segments.to(device), batch.targets.to(device),
          batch.weights.to(device)};
}

}  // namespace terse::trainer
