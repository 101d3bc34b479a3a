// Decodes with LibTorch's operations and, on a GPU, with our fused kernels. It serves GPUs, and tests compare the
// kernel decoder with it.
#include <algorithm>

#include "rl/engine/decoder.h"
#include "trainer/model/block.h"
#include "trainer/model/ops/ops_aten.h"
#include "trainer/model/ops/ops_fused.h"
#include "trainer/model/profile_scope.h"

namespace terse::rl {

namespace {

using torch::Tensor;
namespace ops = trainer::ops::aten;

// The KV cache of each layer, [pages, kPageTokens, K, C].
struct LayerCaches {
  std::vector<Tensor> keys, values;
};

// Rows that attend to a KV cache.
class AtenBackend {
 public:
  AtenBackend(const trainer::Transformer& model, const trainer::ops::Fused& fused, const DecodeRows& rows,
              LayerCaches& cache)
      : spec_(model.spec()),
        rope_(model.rope()),
        fused_(fused),
        cache_(cache),
        tokens_(indices(rows.tokens, model.device())),
        positions_(indices(rows.positions, model.device())),
        pages_(page_lists(rows).to(model.device())),
        // Row r may read the tokens 0..position of its own sequence.
        mask_(torch::arange(pages_.size(1) * kPageTokens, positions_.options()).unsqueeze(0) <=
              positions_.unsqueeze(1)) {
    const Tensor place = positions_.div(kPageTokens, "floor");
    row_page_ = pages_.gather(1, place.unsqueeze(1)).squeeze(1);
    row_place_ = positions_.remainder(kPageTokens);
    begun_ = row_page_.index({row_place_ == 0});
  }

  static Tensor indices(const std::vector<int64_t>& values, torch::Device device) {
    return torch::tensor(values, torch::kInt64).to(device);
  }
  // The pages up to the position of each row, [R, most pages]. The list of a row ends with any page, which its mask
  // hides.
  static Tensor page_lists(const DecodeRows& rows) {
    int64_t most = 1;
    for (const int64_t position : rows.positions) most = std::max(most, position / kPageTokens + 1);
    Tensor lists = torch::zeros({std::ssize(rows.positions), most}, torch::kInt64);
    for (size_t row = 0; row < rows.pages.size(); ++row) {
      const auto begin = rows.pages[row]->begin();
      std::copy(begin, begin + rows.positions[row] / kPageTokens + 1,
                lists[static_cast<int64_t>(row)].data_ptr<int64_t>());
    }
    return lists;
  }
  void enter_layer(size_t layer) { layer_ = layer; }
  const trainer::ModelSpec& spec() const { return spec_; }

  Tensor embedding(const Tensor& table) const { return ops::embed(tokens_, table); }
  Tensor norm(const Tensor& x, const Tensor& weight) const {
    return fused_.rms_norm(x, like(x, weight), spec_.norm_eps);
  }
  trainer::ops::NormedSum add_norm(const Tensor& x, const Tensor& delta, const Tensor& weight) const {
    return fused_.add_rms_norm(x, delta, like(x, weight), spec_.norm_eps);
  }
  Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    return ops::linear(x, weight, bias.defined() ? like(x, bias) : Tensor());
  }
  Tensor dropout(const Tensor& x, int64_t) const { return x; }  // only in training
  Tensor qk_norm(const Tensor& qkv, const Tensor& q_norm, const Tensor& k_norm) const {
    return fused_.qk_norm(qkv, like(qkv, q_norm), like(qkv, k_norm), spec_);
  }
  Tensor attention(const Tensor& qkv) const {
    const auto [q, k, v] = fused_.split_rope(qkv, positions_, rope_, spec_);
    for (auto [cache, written] : {std::pair(cache_.keys[layer_], k), std::pair(cache_.values[layer_], v)}) {
      // Attention multiplies masked values by 0, and 0 times NaN is NaN. So a page is set to zero when its first token
      // is written.
      if (begun_.numel() > 0) cache.index_fill_(0, begun_, 0);
      cache.index_put_({row_page_, row_place_}, written.to(cache.scalar_type()));
    }
    const int64_t n = qkv.size(0);
    const auto cached = [&](const Tensor& cache) {
      return cache.index_select(0, pages_.flatten())
          .view({n, -1, spec_.kv_heads, spec_.head_dim})
          .transpose(1, 2)
          .to(q.scalar_type());
    };  // [R, K, T, C]
    return at::scaled_dot_product_attention(q.unsqueeze(2), cached(cache_.keys[layer_]), cached(cache_.values[layer_]),
                                            mask_.view({n, 1, 1, -1}), 0.0, false, spec_.attention_scale(),
                                            spec_.heads != spec_.kv_heads)
        .reshape({n, -1});
  }
  Tensor swiglu(const Tensor& gate_up) const { return fused_.swiglu(gate_up); }
  Tensor add(const Tensor& x, const Tensor& delta) const { return x + delta; }

 private:
  // A vector in the dtype of the activations.
  static Tensor like(const Tensor& x, const Tensor& vector) { return vector.detach().to(x.scalar_type()); }

  const trainer::ModelSpec& spec_;
  const Tensor& rope_;
  const trainer::ops::Fused& fused_;
  LayerCaches& cache_;
  Tensor tokens_, positions_, pages_, mask_;
  Tensor row_page_, row_place_;  // [R] where the keys and values of each row go
  Tensor begun_;                 // the pages whose first token is a row
  size_t layer_ = 0;
};

class AtenDecoder final : public Decoder {
 public:
  AtenDecoder(trainer::Transformer& model, int64_t pages)
      : Decoder(model), declared_(trainer::block_weights(model.spec())), fused_(model.device()) {
    const trainer::ModelSpec& spec = model.spec();
    const auto options = torch::TensorOptions()
                             .device(model.device())
                             .dtype(holds_bf16(spec, /*cuda=*/true) ? torch::kBFloat16 : torch::kFloat32);
    const std::vector<int64_t> shape = {pages, kPageTokens, spec.kv_heads, spec.head_dim};
    for (int64_t layer = 0; layer < spec.layers; ++layer) {
      for (auto* pages_of : {&cache_.keys, &cache_.values}) {
        pages_of->push_back(torch::empty(shape, options));
        pages_of->back()[0].zero_();  // lists of pages end with page 0, see page_lists()
      }
    }
    refresh();
  }

  // Uses the model's weights in place. Weights that are gathered on demand are copied, because ranks generate at their
  // own pace and cannot gather together. Frozen weights, which need no gradient, are there all the time.
  void refresh() override {
    trainer::FlatParams& params = model_.params();
    const bool copies = params.gathers_on_demand();
    const auto take = [copies](const Tensor& t) {
      return copies && t.requires_grad() ? t.detach().clone() : t.detach();
    };
    blocks_.clear();
    params.visit(
        [&](const trainer::BlockWeights& w) { blocks_.push_back(trainer::transform(declared_, w, take, take)); },
        [&] {
          embedding_ = take(params.embedding());
          head_ = take(params.head());
          final_norm_ = take(params.final_norm());
        });
  }

  Tensor run(const DecodeRows& rows) override {
    torch::NoGradGuard no_grad;
    trainer::Profiled<AtenBackend> backend(model_, fused_, rows, cache_);
    Tensor x = trainer::embed(backend, embedding_);
    for (size_t layer = 0; layer < blocks_.size(); ++layer) {
      backend.enter_layer(layer);
      x = trainer::block(backend, blocks_[layer], x).x;
    }
    x = backend.norm(x.index_select(0, AtenBackend::indices(rows.wanted, model_.device())), final_norm_);
    return backend.linear(x, head_, {}).to(torch::kFloat32).to(torch::kCPU).contiguous();
  }

  void copy_page(int32_t from, int32_t to) override {
    for (auto* layers : {&cache_.keys, &cache_.values}) {
      for (Tensor& t : *layers) t[to].copy_(t[from]);
    }
  }

 private:
  const std::vector<trainer::BlockWeight> declared_;
  trainer::ops::Fused fused_;
  std::vector<trainer::BlockWeights> blocks_;
  Tensor embedding_, head_, final_norm_;
  LayerCaches cache_;
};

}  // namespace

std::unique_ptr<Decoder> make_aten_decoder(trainer::Transformer& model, int64_t pages) {
  return std::make_unique<AtenDecoder>(model, pages);
}

}  // namespace terse::rl
