// The forward pass of the model, block by block.
#include "trainer/model/transformer.h"

#include <fmt/format.h>

#include <stdexcept>

#include "trainer/model/profile_scope.h"
#include "trainer/model/recompute.h"
#include "trainer/model/unit_boundary.h"

namespace terse::trainer {

namespace {

// Packed sequences, differentiable. Only backward passes need `sequences`.
class PackedBackend {
 public:
  PackedBackend(const ModelSpec& spec, const torch::Tensor& rope, const data::Batch& batch, int64_t layer = 0,
                const std::optional<DropoutKey>& dropout = {})
      : spec_(spec), rope_(rope), batch_(batch), layer_(layer), dropout_(dropout) {}

  const ModelSpec& spec() const { return spec_; }
  torch::Tensor embedding(const torch::Tensor& table) const {
    return ops::embed(batch_.tokens, table, batch_.sequences);
  }
  torch::Tensor norm(const torch::Tensor& x, const torch::Tensor& weight) const {
    return ops::rms_norm(x, weight, spec_.norm_eps, batch_.sequences);
  }
  ops::NormedSum add_norm(const torch::Tensor& x, const torch::Tensor& delta, const torch::Tensor& weight) const {
    return ops::add_rms_norm(x, delta, weight, spec_.norm_eps, batch_.sequences);
  }
  torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) const {
    return ops::linear(x, weight, bias, batch_.sequences);
  }
  torch::Tensor dropout(const torch::Tensor& x, int64_t projection) const {
    if (!dropout_ || spec_.lora.dropout == 0) return x;
    return x * dropout_mask(batch_, x.size(1), spec_.lora.dropout, *dropout_, {layer_, projection}).to(x.scalar_type());
  }
  torch::Tensor qk_norm(const torch::Tensor& qkv, const torch::Tensor& q_norm, const torch::Tensor& k_norm) const {
    return ops::qk_norm(qkv, q_norm, k_norm, spec_, batch_.sequences);
  }
  torch::Tensor attention(const torch::Tensor& qkv) const {
    return ops::attention(qkv, batch_.positions, {batch_.segments, batch_.prefixes}, rope_, spec_);
  }
  torch::Tensor swiglu(const torch::Tensor& gate_up) const { return ops::swiglu(gate_up); }
  torch::Tensor add(const torch::Tensor& x, const torch::Tensor& delta) const { return x + delta; }

 private:
  const ModelSpec& spec_;
  const torch::Tensor& rope_;
  const data::Batch& batch_;
  int64_t layer_;
  std::optional<DropoutKey> dropout_;
};

}  // namespace

Transformer::Transformer(const ModelSpec& spec, torch::Device device, uint64_t seed, const Sharding& sharding,
                         Purpose purpose, std::shared_ptr<FrozenWeights> frozen)
    : spec_(spec),
      device_(device),
      params_(spec, device, seed, sharding, purpose, std::move(frozen)),
      rope_(ops::make_rope_table(spec, device)),
      recomputes_(spec.activation_checkpointing || (sharding.distributed() && sharding.zero == 3)) {}

void Transformer::save(checkpoints::StateDict& state) const {
  params_.save(state, "", params_.master());
  if (params_.frozen() != nullptr) params_.frozen()->save(state, params_.sharding());
}

void Transformer::restore(const checkpoints::StateDict& state) {
  if (params_.frozen() != nullptr) params_.frozen()->restore(state);
  params_.restore(state, "", params_.master());
  params_.publish();
}

void Transformer::fill(const ReadParameter& read) {
  if (params_.frozen() != nullptr) return params_.frozen()->fill(read);
  params_.fill(read);
  params_.publish();
}

void Transformer::fill_adapters(const ReadParameter& read) {
  if (params_.frozen() == nullptr) throw std::logic_error("the model has no adapters");
  params_.fill(read);
  params_.publish();
}

void Transformer::require_angles(int64_t first, int64_t last) const {
  if (first >= 0 && last < rope_.size(0)) return;
  throw std::invalid_argument(
      fmt::format("position {} of a sequence has no rotation angle: model.max_seq_len is {}, so a sequence may have {} "
                  "tokens; raise model.max_seq_len, or shorten the sequence",
                  first < 0 ? first : last, rope_.size(0), rope_.size(0)));
}

HiddenStates Transformer::hidden(const data::Batch& batch, const ForwardMode& mode) {
  if (batch.positions.numel() > 0) {
    const auto [first, last] = batch.positions.aminmax();
    require_angles(first.item<int64_t>(), last.item<int64_t>());
  }
  const size_t last = params_.units() - 1;
  params_.open(0);
  params_.open(last);
  Profiled<PackedBackend> backend(spec_, rope_, batch);
  torch::Tensor x = embed(backend, params_.embedding()), auxiliary;
  // A frozen embedding has no gradient. The boundaries of units and recomputed blocks, which do not see the adapters,
  // need an input that has one.
  if (params_.frozen() != nullptr && torch::GradMode::is_enabled()) x.requires_grad_(true);
  for (size_t unit = 1; unit < last; ++unit) {
    x = unit_boundary(x, params_, unit - 1);
    // Keeps the batch, because the backward pass may run the block again.
    const auto run = [this, unit, batch, mode](const torch::Tensor& input) {
      params_.open(unit);
      Profiled<PackedBackend> of_block(spec_, rope_, batch, static_cast<int64_t>(unit) - 1, mode.dropout);
      const BlockWeights& weights = params_.block(unit - 1);
      const HiddenStates y = block(of_block, mode.adapters ? weights : without_adapters(weights), input);
      if (!torch::GradMode::is_enabled()) params_.close(unit);
      return y.auxiliary_loss.defined() ? std::vector{y.x, y.auxiliary_loss} : std::vector{y.x};
    };
    const std::vector<torch::Tensor> y = recomputes_ ? recompute(run, x) : run(x);
    x = y[0];
    if (y.size() > 1) auxiliary = with_auxiliary(y[1], auxiliary, 1);
  }
  x = unit_boundary(x, params_, last - 1);
  return {backend.norm(x, params_.final_norm()), auxiliary};
}

void Transformer::dummy_forward() {
  params_.visit([](const BlockWeights&) {}, [] {});
}

Transformer::LogProbs Transformer::logprobs(const data::Batch& batch, const torch::Tensor& rows,
                                            const LogitTransform& transform, const ForwardMode& mode) {
  const ProfileScope scope("forward");
  const HiddenStates states = hidden(batch, mode);
  const torch::Tensor targets = batch.targets.index_select(0, rows);
  const LogProbs result = {
      ops::token_logprobs(states.x.index_select(0, rows), params_.head(), targets, transform, batch.sequences_of(rows)),
      states.auxiliary_loss};
  if (!torch::GradMode::is_enabled()) {
    params_.close(0);
    params_.close(params_.units() - 1);
  }
  return result;
}

torch::Tensor with_auxiliary(const torch::Tensor& loss, const torch::Tensor& auxiliary_loss, double scale) {
  return auxiliary_loss.defined() ? loss + auxiliary_loss * scale : loss;
}

}  // namespace terse::trainer
