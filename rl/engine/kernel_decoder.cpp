// Decodes on the CPU with the same kernels as the learner's forward pass. So every row has the same bits as there.
// Weights, keys and values may be bf16; everything else is fp32.
#include <cstring>

#include "rl/engine/decoder.h"
#include "trainer/kernels/kernels.h"
#include "trainer/model/block.h"
#include "trainer/model/ops/matmul.h"
#include "trainer/model/profile_scope.h"

namespace terse::rl {

namespace {

namespace kernels = trainer::kernels;
using torch::Tensor;

Tensor fp32(at::IntArrayRef shape) {
  return torch::empty(shape, torch::kFloat32);
}

static_assert(kPageTokens % kernels::kKeyBlock == 0);

// The KV cache.
struct Cache {
  kernels::KvLayout layout;  // of one layer of a page
  Tensor memory;             // [pages, bytes of a page in all layers]
  void* page(int32_t index) const { return memory.data_ptr<uint8_t>() + index * memory.size(1); }
};

// Rows that attend to a KV cache. Matrices are as from ops::pack().
class KernelBackend {
 public:
  KernelBackend(const trainer::ModelSpec& spec, const Tensor& rope, const DecodeRows& rows, const Cache& cache)
      : spec_(spec), rope_(rope), rows_(rows), layout_(cache.layout) {
    // Rows of one sequence follow one another, so its pages are listed once.
    std::vector<size_t> begin;
    for (size_t i = 0; i < rows.pages.size(); ++i) {
      const bool again = i > 0 && rows.pages[i] == rows.pages[i - 1];
      begin.push_back(again ? begin.back() : addresses_.size());
      if (again) continue;
      for (const int32_t page : *rows.pages[i]) addresses_.push_back(cache.page(page));
    }
    for (const size_t first : begin) pages_.push_back(addresses_.data() + first);
  }

  void enter_layer(int64_t layer) { layer_ = layer; }
  const trainer::ModelSpec& spec() const { return spec_; }

  Tensor embedding(const Tensor& table) const {
    if (table.scalar_type() == torch::kFloat32) return pick(table, rows_.tokens);
    return table.index_select(0, torch::tensor(rows_.tokens)).to(torch::kFloat32);
  }

  // The rows of a table [_, D] at these indices.
  Tensor pick(const Tensor& table, const std::vector<int64_t>& indices) const {
    Tensor rows = fp32({static_cast<int64_t>(indices.size()), spec_.hidden_size});
    kernels::cpu().embedding(table.data_ptr<float>(), indices.data(), rows.data_ptr<float>(), rows.size(0),
                             spec_.hidden_size);
    return rows;
  }

  Tensor norm(const Tensor& x, const Tensor& weight) const {
    Tensor y = torch::empty_like(x);
    kernels::cpu().rms_norm({.x = x.data_ptr<float>(),
                             .weight = weight.data_ptr<float>(),
                             .eps = static_cast<float>(spec_.norm_eps),
                             .y = y.data_ptr<float>(),
                             .rows = x.size(0),
                             .groups = 1,
                             .width = x.size(1)});
    return y;
  }

  trainer::ops::NormedSum add_norm(const Tensor& x, const Tensor& delta, const Tensor& weight) const {
    const Tensor sum = add(x, delta);
    return {sum, norm(sum, weight)};
  }

  Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
    return trainer::ops::multiply_packed(trainer::ops::as_factor(x, weight.scalar_type()), weight, bias);
  }

  Tensor dropout(const Tensor& x, int64_t) const { return x; }  // only in training

  // In place.
  Tensor qk_norm(const Tensor& qkv, const Tensor& q_norm, const Tensor& k_norm) const {
    norm_heads(qkv, 0, spec_.heads, q_norm);
    norm_heads(qkv, spec_.heads, spec_.kv_heads, k_norm);
    return qkv;
  }

  // Rotates in place, and appends the rows' keys and values to the cache first.
  Tensor attention(const Tensor& qkv) const {
    const kernels::Table& k = kernels::cpu();
    const int64_t n = qkv.size(0), c = spec_.head_dim, stride = spec_.qkv_size();
    float* q = qkv.data_ptr<float>();
    k.rope({.x = q,
            .positions = rows_.positions.data(),
            .table = rope_.data_ptr<float>(),
            .rows = n,
            .heads = spec_.heads + spec_.kv_heads,
            .head_dim = c,
            .row_stride = stride});
    kernels::KvRows kv{.layout = layout_, .pages = pages_.data(), .positions = rows_.positions.data(), .rows = n};
    kv.layout.offset = layer_ * layout_.numbers();
    k.kv_append({.to = kv, .k = q + spec_.heads * c, .v = q + (spec_.heads + spec_.kv_heads) * c, .kv_stride = stride});
    Tensor attended = fp32({n, spec_.attention_size()});
    k.attention_decode({.from = kv,
                        .q = q,
                        .heads = spec_.heads,
                        .q_stride = stride,
                        .scale = static_cast<float>(spec_.attention_scale()),
                        .out = attended.data_ptr<float>()});
    return attended;
  }

  Tensor swiglu(const Tensor& gate_up) const {
    Tensor hidden = fp32({gate_up.size(0), spec_.intermediate_size});
    kernels::cpu().swiglu(gate_up.data_ptr<float>(), hidden.data_ptr<float>(), gate_up.size(0),
                          spec_.intermediate_size);
    return hidden;
  }

  Tensor add(const Tensor& x, const Tensor& delta) const {
    Tensor sum = torch::empty_like(x);
    kernels::cpu().add(x.data_ptr<float>(), delta.data_ptr<float>(), sum.data_ptr<float>(), x.numel());
    return sum;
  }

 private:
  void norm_heads(const Tensor& qkv, int64_t first, int64_t groups, const Tensor& weight) const {
    float* x = qkv.data_ptr<float>() + first * spec_.head_dim;
    kernels::cpu().rms_norm({.x = x,
                             .weight = weight.data_ptr<float>(),
                             .eps = static_cast<float>(spec_.norm_eps),
                             .y = x,
                             .rows = qkv.size(0),
                             .groups = groups,
                             .width = spec_.head_dim,
                             .x_stride = qkv.size(1),
                             .y_stride = qkv.size(1)});
  }

  const trainer::ModelSpec& spec_;
  const Tensor& rope_;
  const DecodeRows& rows_;
  kernels::KvLayout layout_;
  std::vector<void*> addresses_;     // of the pages, sequence by sequence
  std::vector<void* const*> pages_;  // of each row's sequence
  int64_t layer_ = 0;
};

class KernelDecoder final : public Decoder {
 public:
  KernelDecoder(trainer::Transformer& model, int64_t pages)
      : Decoder(model), spec_(model.spec()), declared_(trainer::block_weights(spec_)) {
    cache_.layout = {
        .kv_heads = spec_.kv_heads, .head_dim = spec_.head_dim, .page_tokens = kPageTokens, .bf16 = spec_.bf16_kv};
    // It takes memory when it is written.
    cache_.memory = torch::empty({pages, spec_.layers * cache_.layout.bytes()}, torch::kUInt8);
    refresh();
  }

  void refresh() override {
    const auto packed = [](const Tensor& w) { return trainer::ops::pack(w.detach()); };
    const auto vector = [](const Tensor& w) { return w.detach().to(torch::kFloat32, false, /*copy=*/true); };
    trainer::FlatParams& params = model_.params();
    const bool frozen = params.frozen() != nullptr;
    if (frozen && params.frozen()->version() == frozen_version_) {
      size_t layer = 0;
      params.visit(
          [&](const trainer::BlockWeights& w) { trainer::transform_adapters(declared_, w, packed, blocks_[layer++]); },
          [] {});
      return;
    }
    blocks_.clear();
    embedding_ = head_ = Tensor();  // frees the old ones before the new ones are allocated
    params.visit(
        [&](const trainer::BlockWeights& w) { blocks_.push_back(trainer::transform(declared_, w, packed, vector)); },
        [&] {
          embedding_ = frozen ? params.embedding().detach() : params.embedding().detach().clone();
          final_norm_ = vector(params.final_norm());
          head_ = packed(params.head());
        });
    if (frozen) frozen_version_ = params.frozen()->version();
  }

  Tensor run(const DecodeRows& rows) override {
    c10::InferenceMode inference;
    trainer::Profiled<KernelBackend> backend(spec_, model_.rope(), rows, cache_);
    Tensor x = trainer::embed(backend, embedding_);
    for (size_t layer = 0; layer < blocks_.size(); ++layer) {
      backend.enter_layer(static_cast<int64_t>(layer));
      x = trainer::block(backend, blocks_[layer], x).x;
    }
    return backend.linear(backend.norm(backend.pick(x, rows.wanted), final_norm_), head_, {});
  }

  void copy_page(int32_t from, int32_t to) override {
    std::memcpy(cache_.page(to), cache_.page(from), static_cast<size_t>(cache_.memory.size(1)));
  }

 private:
  const trainer::ModelSpec& spec_;
  const std::vector<trainer::BlockWeight> declared_;
  Cache cache_;
  std::vector<trainer::BlockWeights> blocks_;  // matrices as from ops::pack()
  Tensor embedding_, final_norm_, head_;
  int64_t frozen_version_ = -1;  // of the frozen weights that blocks_ has; -1: none
};

}  // namespace

std::unique_ptr<Decoder> make_kernel_decoder(trainer::Transformer& model, int64_t pages) {
  return std::make_unique<KernelDecoder>(model, pages);
}

}  // namespace terse::rl
