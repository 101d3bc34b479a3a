// The forward pass of the model, block by block.
#include "trainer/model/transformer.h"

#include <fmt/format.h>

#include <stdexcept>

#include "trainer/model/block.h"
#include "trainer/model/recompute.h"
#include "trainer/model/unit_boundary.h"

namespace terse::trainer {

namespace {

// Packed sequences, differentiable. Only backward passes need `sequences`.
class PackedBackend {
 public:
  PackedBackend(const ModelSpec& spec, const torch::Tensor& rope, const data::Batch& batch)
      : spec_(spec), rope_(rope), batch_(batch) {}

  const ModelSpec& spec() const { return spec_; }
  torch::Tensor norm(const torch::Tensor& x, const torch::Tensor& weight) const {
    return ops::rms_norm(x, weight, spec_.norm_eps, batch_.sequences);
  }
  ops::NormedSum add_norm(const torch::Tensor& x, const torch::Tensor& delta, const torch::Tensor& weight) const {
    return ops::add_rms_norm(x, delta, weight, spec_.norm_eps, batch_.sequences);
  }
  torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) const {
    return ops::linear(x, weight, bias, batch_.sequences);
  }
  torch::Tensor qk_norm(const torch::Tensor& qkv, const torch::Tensor& q_norm, const torch::Tensor& k_norm) const {
    return ops::qk_norm(qkv, q_norm, k_norm, spec_, batch_.sequences);
  }
  torch::Tensor attention(const torch::Tensor& qkv) const {
    return ops::attention(qkv, batch_.positions, batch_.segments, rope_, spec_);
  }
  torch::Tensor swiglu(const torch::Tensor& gate_up) const { return ops::swiglu(gate_up); }
  torch::Tensor add(const torch::Tensor& x, const torch::Tensor& delta) const { return x + delta; }

 private:
  const ModelSpec& spec_;
  const torch::Tensor& rope_;
  const data::Batch& batch_;
};

}  // namespace

Transformer::Transformer(const ModelSpec& spec, torch::Device device, uint64_t seed, const Sharding& sharding,
                         Purpose purpose)
    : spec_(spec),
      device_(device),
      params_(spec, device, seed, sharding, purpose),
      rope_(ops::make_rope_table(spec, device)),
      recomputes_(spec.activation_checkpointing || (sharding.distributed() && sharding.zero == 3)) {}

void Transformer::save(checkpoints::StateDict& state) const {
  params_.save(state, "", params_.master());
}

void Transformer::restore(const checkpoints::StateDict& state) {
  params_.restore(state, "", params_.master());
  params_.publish();
}

void Transformer::require_angles(int64_t first, int64_t last) const {
  if (first >= 0 && last < rope_.size(0)) return;
  throw std::invalid_argument(
      fmt::format("position {} of a sequence has no rotation angle: model.max_seq_len is {}, so a sequence may have {} "
                  "tokens; raise model.max_seq_len, or shorten the sequence",
                  first < 0 ? first : last, rope_.size(0), rope_.size(0)));
}

torch::Tensor Transformer::hidden(const data::Batch& batch) {
  if (batch.positions.numel() > 0) {
    const auto [first, last] = batch.positions.aminmax();
    require_angles(first.item<int64_t>(), last.item<int64_t>());
  }
  const size_t last = params_.units() - 1;
  params_.open(0);
  params_.open(last);
  torch::Tensor x = ops::embed(batch.tokens, params_.embedding(), batch.sequences);
  for (size_t unit = 1; unit < last; ++unit) {
    x = unit_boundary(x, params_, unit - 1);
    const auto run = [this, unit, batch](const torch::Tensor& input) {
      params_.open(unit);
      PackedBackend backend(spec_, rope_, batch);
      torch::Tensor y = block(backend, params_.block(unit - 1), input);
      if (!torch::GradMode::is_enabled()) params_.close(unit);
      return y;
    };
    x = recomputes_ ? recompute(run, x) : run(x);
  }
  return ops::rms_norm(unit_boundary(x, params_, last - 1), params_.final_norm(), spec_.norm_eps, batch.sequences);
}

void Transformer::dummy_forward() {
  params_.visit([](const BlockWeights&) {}, [] {});
}

ops::TokenLogProbs Transformer::logprobs(const data::Batch& batch, const torch::Tensor& rows,
                                         const LogitTransform& transform) {
  const torch::Tensor x = hidden(batch).index_select(0, rows);
  const ops::TokenLogProbs result =
      ops::token_logprobs(x, params_.head(), batch.targets.index_select(0, rows), transform, batch.sequences_of(rows));
  if (!torch::GradMode::is_enabled()) {
    params_.close(0);
    params_.close(params_.units() - 1);
  }
  return result;
}

}  // namespace terse::trainer
