// Decodes with LibTorch's operations and, on a GPU, with our fused kernels. It serves GPUs and bf16, and tests compare
// the kernel decoder with it.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "rl/engine/decoder.h"
#include "trainer/model/ops_aten.h"
#include "trainer/model/ops_fused.h"

namespace terse::rl {

namespace {

using torch::Tensor;
namespace ops = trainer::ops::aten;

class AtenDecoder final : public Decoder {
 public:
  AtenDecoder(trainer::Transformer& model, int64_t slots, int64_t capacity)
      : Decoder(model, capacity), spec_(model.spec()), fused_(model.device()) {
    const auto options =
        torch::TensorOptions().device(model.device()).dtype(spec_.bf16 ? torch::kBFloat16 : torch::kFloat32);
    for (int64_t layer = 0; layer < spec_.layers; ++layer) {
      keys_.push_back(torch::zeros({slots, capacity, spec_.kv_heads, spec_.head_width}, options));
      values_.push_back(torch::zeros_like(keys_.back()));
    }
    refresh();
  }

  // Uses the model's weights in place. Weights that are gathered on demand are copied, because ranks generate at their
  // own pace and cannot gather together.
  void refresh() override {
    trainer::FlatParams& params = model_.params();
    const bool copies = params.gathers_on_demand();
    const auto take = [copies](const Tensor& t) { return !t.defined() ? t : copies ? t.detach().clone() : t.detach(); };
    blocks_.clear();
    params.visit(
        [&](const trainer::BlockWeights& w) {
          blocks_.push_back({take(w.attention_norm), take(w.qkv), take(w.qkv_bias), take(w.q_norm), take(w.k_norm),
                             take(w.out), take(w.ffn_norm), take(w.gate_up), take(w.down)});
        },
        [&] {
          embedding_ = take(params.embedding());
          head_ = take(params.head());
          final_norm_ = take(params.final_norm());
        });
  }

  Tensor run(const DecodeRows& rows) override {
    torch::NoGradGuard no_grad;
    const auto indices = [this](const std::vector<int64_t>& v) {
      return torch::tensor(v, torch::kInt64).to(model_.device());
    };
    const Tensor slots = indices(rows.slots), positions = indices(rows.positions);
    // Row r may read the cached tokens 0..position of its own slot.
    const Tensor mask = torch::arange(capacity_, positions.options()).unsqueeze(0) <= positions.unsqueeze(1);
    Tensor x = ops::embed(indices(rows.tokens), embedding_);
    for (size_t layer = 0; layer < keys_.size(); ++layer) x = block(layer, x, slots, positions, mask);
    x = fused_.rms_norm(x.index_select(0, indices(rows.wanted)), norm_weight(final_norm_, x), spec_.norm_eps);
    return ops::linear(x, head_, {}).to(torch::kFloat32).to(torch::kCPU).contiguous();
  }

  void copy_prefix(int64_t from, int64_t to, int64_t length) override {
    for (auto* cache : {&keys_, &values_}) {
      for (Tensor& t : *cache) t[to].narrow(0, 0, length).copy_(t[from].narrow(0, 0, length));
    }
  }

 private:
  static Tensor norm_weight(const Tensor& weight, const Tensor& x) { return weight.detach().to(x.scalar_type()); }

  Tensor block(size_t layer, const Tensor& x, const Tensor& slots, const Tensor& positions, const Tensor& mask) {
    const trainer::BlockWeights& w = blocks_[layer];
    const int64_t n = x.size(0);
    const Tensor bias = w.qkv_bias.defined() ? norm_weight(w.qkv_bias, x) : Tensor();
    Tensor qkv = ops::linear(fused_.rms_norm(x, norm_weight(w.attention_norm, x), spec_.norm_eps), w.qkv, bias);
    if (spec_.qk_norm) qkv = fused_.qk_norm(qkv, norm_weight(w.q_norm, x), norm_weight(w.k_norm, x), spec_);
    const auto [q, k, v] = fused_.split_rope(qkv, positions, model_.rope(), spec_);
    keys_[layer].index_put_({slots, positions}, k);
    values_[layer].index_put_({slots, positions}, v);
    const auto cached = [&](const Tensor& cache) {
      return cache.index_select(0, slots).transpose(1, 2);
    };  // [R, K, T, C]
    const Tensor attended = at::scaled_dot_product_attention(
        q.unsqueeze(2), cached(keys_[layer]), cached(values_[layer]), mask.view({n, 1, 1, capacity_}), 0.0, false,
        spec_.attention_scale(), spec_.heads != spec_.kv_heads);
    const auto [h, normed] = fused_.add_rms_norm(x, ops::linear(attended.reshape({n, -1}), w.out, {}),
                                                 norm_weight(w.ffn_norm, x), spec_.norm_eps);
    return h + ops::linear(fused_.swiglu(ops::linear(normed, w.gate_up, {})), w.down, {});
  }

  const trainer::ModelSpec& spec_;
  trainer::ops::Fused fused_;
  std::vector<trainer::BlockWeights> blocks_;
  Tensor embedding_, head_, final_norm_;
  std::vector<Tensor> keys_, values_;  // per layer [slots, capacity, K, C]
};

}  // namespace

std::unique_ptr<Decoder> make_aten_decoder(trainer::Transformer& model, int64_t slots, int64_t capacity) {
  return std::make_unique<AtenDecoder>(model, slots, capacity);
}

torch::Tensor Decoder::forward(const DecodeRows& rows) {
  if (!rows.positions.empty()) {
    const auto [first, last] = std::minmax_element(rows.positions.begin(), rows.positions.end());
    model_.require_angles(*first, *last);
    if (*last >= capacity_) {
      throw std::invalid_argument(
          fmt::format("position {} of a sequence does not fit into the KV cache of {} tokens", *last, capacity_));
    }
  }
  return run(rows);
}

std::unique_ptr<Decoder> make_decoder(trainer::Transformer& model, int64_t slots, int64_t capacity) {
  const bool kernels = model.device().is_cpu() && !model.spec().bf16;
  return kernels ? make_kernel_decoder(model, slots, capacity) : make_aten_decoder(model, slots, capacity);
}

}  // namespace terse::rl
