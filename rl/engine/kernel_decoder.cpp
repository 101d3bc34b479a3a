// Decodes on the CPU in fp32 with the same kernels as the learner's forward pass. So every row has the same bits as
// there.
#include <cstring>

#include "rl/engine/decoder.h"
#include "trainer/kernels/kernels.h"

namespace terse::rl {

namespace {

namespace kernels = trainer::kernels;
using torch::Tensor;

Tensor fp32(at::IntArrayRef shape) {
  return torch::empty(shape, torch::kFloat32);
}

// Weights of one block, matrices transposed to [in, out].
struct PackedBlock {
  Tensor attention_norm, qkv, qkv_bias, q_norm, k_norm, out, ffn_norm, gate_up, down;
};

class KernelDecoder final : public Decoder {
 public:
  KernelDecoder(trainer::Transformer& model, int64_t slots, int64_t capacity)
      : Decoder(model, capacity), spec_(model.spec()) {
    const int64_t page = (capacity + kernels::kKeyBlock - 1) / kernels::kKeyBlock * kernels::kKeyBlock;
    layout_ = {.kv_heads = spec_.kv_heads, .head_width = spec_.head_width, .page_tokens = page};
    cache_ = fp32({slots, spec_.layers * layout_.floats()});
    for (int64_t slot = 0; slot < slots; ++slot) pages_.push_back(cache_[slot].data_ptr<float>());
    refresh();
  }

  void refresh() override {
    blocks_.clear();
    const auto transposed = [](const Tensor& w) { return w.detach().to(torch::kFloat32).t().contiguous(); };
    const auto vector = [](const Tensor& w) { return w.defined() ? w.detach().to(torch::kFloat32).clone() : Tensor(); };
    trainer::FlatParams& params = model_.params();
    params.visit(
        [&](const trainer::BlockWeights& w) {
          blocks_.push_back({vector(w.attention_norm), transposed(w.qkv), vector(w.qkv_bias), vector(w.q_norm),
                             vector(w.k_norm), transposed(w.out), vector(w.ffn_norm), transposed(w.gate_up),
                             transposed(w.down)});
        },
        [&] {
          embedding_ = vector(params.embedding());
          final_norm_ = vector(params.final_norm());
          head_ = transposed(params.head());
        });
  }

  Tensor run(const DecodeRows& rows) override {
    c10::InferenceMode inference;
    const kernels::Table& k = kernels::cpu();
    const int64_t n = static_cast<int64_t>(rows.tokens.size());
    std::vector<float* const*> pages(rows.slots.size());
    for (size_t i = 0; i < pages.size(); ++i) pages[i] = &pages_[static_cast<size_t>(rows.slots[i])];
    Tensor x = fp32({n, spec_.width});
    k.embedding(embedding_.data_ptr<float>(), rows.tokens.data(), x.data_ptr<float>(), n, spec_.width);
    for (int64_t layer = 0; layer < spec_.layers; ++layer) block(layer, rows, pages, x);
    return logits(rows, x);
  }

  void copy_prefix(int64_t from, int64_t to, int64_t length) override {
    // The cache of a layer holds keys [K][blocks][C][16], then values [K][tokens][C]. Copies whole key blocks, then
    // rows of values.
    const int64_t c = spec_.head_width, page = layout_.page_tokens;
    const int64_t blocks = (length + kernels::kKeyBlock - 1) / kernels::kKeyBlock;
    const auto copy = [&](int64_t offset, int64_t count) {
      std::memcpy(pages_[static_cast<size_t>(to)] + offset, pages_[static_cast<size_t>(from)] + offset,
                  static_cast<size_t>(count) * sizeof(float));
    };
    for (int64_t layer = 0; layer < spec_.layers; ++layer) {
      const int64_t keys = layer * layout_.floats(), values = keys + spec_.kv_heads * page * c;
      for (int64_t head = 0; head < spec_.kv_heads; ++head) {
        copy(keys + head * page * c, blocks * c * kernels::kKeyBlock);
        copy(values + head * page * c, length * c);
      }
    }
  }

 private:
  Tensor gemm(const Tensor& x, const Tensor& weight, const Tensor& bias = {}) const {
    Tensor y = fp32({x.size(0), weight.size(1)});
    kernels::cpu().gemm(x.data_ptr<float>(), weight.data_ptr<float>(),
                        bias.defined() ? bias.data_ptr<float>() : nullptr, y.data_ptr<float>(), x.size(0),
                        weight.size(1), weight.size(0), false);
    return y;
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

  void norm_heads(const Tensor& qkv, int64_t first, int64_t groups, const Tensor& weight) const {
    float* x = qkv.data_ptr<float>() + first * spec_.head_width;
    kernels::cpu().rms_norm({.x = x,
                             .weight = weight.data_ptr<float>(),
                             .eps = static_cast<float>(spec_.norm_eps),
                             .y = x,
                             .rows = qkv.size(0),
                             .groups = groups,
                             .width = spec_.head_width,
                             .x_stride = qkv.size(1),
                             .y_stride = qkv.size(1)});
  }

  void add(Tensor& x, const Tensor& delta) const {
    kernels::cpu().add(x.data_ptr<float>(), delta.data_ptr<float>(), x.data_ptr<float>(), x.numel());
  }

  void block(int64_t layer, const DecodeRows& rows, const std::vector<float* const*>& pages, Tensor& x) const {
    const kernels::Table& k = kernels::cpu();
    const PackedBlock& w = blocks_[static_cast<size_t>(layer)];
    const int64_t n = x.size(0), c = spec_.head_width, stride = spec_.qkv_width();
    const Tensor qkv = gemm(norm(x, w.attention_norm), w.qkv, w.qkv_bias);
    if (spec_.qk_norm) {
      norm_heads(qkv, 0, spec_.heads, w.q_norm);
      norm_heads(qkv, spec_.heads, spec_.kv_heads, w.k_norm);
    }
    float* q = qkv.data_ptr<float>();
    k.rope({.x = q,
            .positions = rows.positions.data(),
            .table = model_.rope().data_ptr<float>(),
            .rows = n,
            .heads = spec_.heads + spec_.kv_heads,
            .head_width = c,
            .row_stride = stride});
    kernels::KvRows kv{.layout = layout_, .pages = pages.data(), .positions = rows.positions.data(), .rows = n};
    kv.layout.offset = layer * layout_.floats();
    k.kv_append({.to = kv, .k = q + spec_.heads * c, .v = q + (spec_.heads + spec_.kv_heads) * c, .kv_stride = stride});
    Tensor attended = fp32({n, spec_.attention_width()});
    k.attention_decode({.from = kv,
                        .q = q,
                        .heads = spec_.heads,
                        .q_stride = stride,
                        .scale = static_cast<float>(spec_.attention_scale()),
                        .out = attended.data_ptr<float>()});
    add(x, gemm(attended, w.out));
    const Tensor gate_up = gemm(norm(x, w.ffn_norm), w.gate_up);
    Tensor hidden = fp32({n, spec_.ffn_width});
    k.swiglu(gate_up.data_ptr<float>(), hidden.data_ptr<float>(), n, spec_.ffn_width);
    add(x, gemm(hidden, w.down));
  }

  Tensor logits(const DecodeRows& rows, const Tensor& x) const {
    const int64_t wanted = static_cast<int64_t>(rows.wanted.size());
    Tensor picked = fp32({wanted, spec_.width});
    kernels::cpu().embedding(x.data_ptr<float>(), rows.wanted.data(), picked.data_ptr<float>(), wanted, spec_.width);
    return gemm(norm(picked, final_norm_), head_);
  }

  const trainer::ModelSpec& spec_;
  kernels::KvLayout layout_;
  Tensor cache_;               // [slots, layers * floats of a layer]: one page per slot
  std::vector<float*> pages_;  // of each slot
  std::vector<PackedBlock> blocks_;
  Tensor embedding_, final_norm_, head_;
};

}  // namespace

std::unique_ptr<Decoder> make_kernel_decoder(trainer::Transformer& model, int64_t slots, int64_t capacity) {
  return std::make_unique<KernelDecoder>(model, slots, capacity);
}

}  // namespace terse::rl
