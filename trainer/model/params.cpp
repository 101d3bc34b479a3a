// Initialisation and views of the flat parameter buffer.
#include "trainer/model/params.h"

#include <cmath>

#include "data/philox.h"

namespace terse::trainer {

FlatParams::FlatParams(const ModelSpec& spec, torch::Device device, uint64_t seed) : layout_(spec) {
  master_ = torch::empty({size()}, torch::kFloat32);
  initialise(seed);
  master_ = master_.to(device);
  const int64_t tied_head = spec.tie_embeddings && !spec.bf16 && device.is_cpu() ? spec.vocab * spec.width : 0;
  partial_grad_ = torch::zeros({size() + tied_head}, master_.options());
  grad_ = partial_grad_.narrow(0, 0, size());
  working_ = spec.bf16 ? master_.to(torch::kBFloat16) : master_;
  working_grad_ = spec.bf16 && !device.is_cpu() ? torch::zeros_like(working_) : partial_grad_;
  make_views(spec);
}

void FlatParams::initialise(uint64_t seed) {
  float* out = master_.data_ptr<float>();
  for (size_t p = 0; p < layout_.infos.size(); ++p) {
    const ParamInfo& info = layout_.infos[p];
    float* w = out + info.offset;
    for (int64_t i = 0; i < info.numel(); ++i) {
      if (info.init_std == 0) {
        w[i] = static_cast<float>(info.init_value);
        continue;
      }
      // Box and Muller: one normal number from two uniform ones.
      const auto words = data::philox(seed, data::RandomStream::kInit, p, static_cast<uint64_t>(i));
      const double radius = std::sqrt(-2 * std::log((words[0] + 1.0) * 0x1p-32));
      w[i] = static_cast<float>(info.init_std * radius * std::cos(2 * M_PI * words[1] * 0x1p-32));
    }
  }
}

torch::Tensor FlatParams::leaf(const std::string& first, std::vector<int64_t> shape) {
  return leaf_at(layout_.offset_of(first), layout_.offset_of(first), std::move(shape));
}

torch::Tensor FlatParams::leaf_at(int64_t offset, int64_t grad_offset, std::vector<int64_t> shape) {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  // The kernels of the CPU want norms and biases in fp32 even where matrices are bf16.
  const bool vector_on_cpu = shape.size() == 1 && master_.device().is_cpu();
  torch::Tensor view = (vector_on_cpu ? master_ : working_).narrow(0, offset, n).view(shape).detach();
  view.requires_grad_(true);
  view.mutable_grad() = working_grad_.narrow(0, grad_offset, n).view(shape);
  return view;
}

void FlatParams::make_views(const ModelSpec& spec) {
  embedding_ = leaf("model.embed_tokens.weight", {spec.vocab, spec.width});
  if (!spec.tie_embeddings) {
    head_ = leaf("lm_head.weight", {spec.vocab, spec.width});
  } else if (partial_grad_.numel() > size()) {
    head_ = leaf_at(layout_.offset_of("model.embed_tokens.weight"), size(), {spec.vocab, spec.width});
  } else {
    head_ = embedding_;
  }
  final_norm_ = leaf("model.norm.weight", {spec.width});
  for (int64_t l = 0; l < spec.layers; ++l) {
    const std::string block = "model.layers." + std::to_string(l) + ".";
    BlockWeights w;
    w.attention_norm = leaf(block + "input_layernorm.weight", {spec.width});
    w.qkv = leaf(block + "self_attn.q_proj.weight", {spec.qkv_width(), spec.width});
    if (spec.qkv_bias) w.qkv_bias = leaf(block + "self_attn.q_proj.bias", {spec.qkv_width()});
    if (spec.qk_norm) {
      w.q_norm = leaf(block + "self_attn.q_norm.weight", {spec.head_width});
      w.k_norm = leaf(block + "self_attn.k_norm.weight", {spec.head_width});
    }
    w.out = leaf(block + "self_attn.o_proj.weight", {spec.width, spec.attention_width()});
    w.ffn_norm = leaf(block + "post_attention_layernorm.weight", {spec.width});
    w.gate_up = leaf(block + "mlp.gate_proj.weight", {2 * spec.ffn_width, spec.width});
    w.down = leaf(block + "mlp.down_proj.weight", {spec.width, spec.ffn_width});
    blocks_.push_back(std::move(w));
  }
}

torch::Tensor FlatParams::named_master(const ParamInfo& info) const {
  return master_.narrow(0, info.offset, info.numel()).view(info.shape);
}

void FlatParams::publish() {
  if (!working_.is_same(master_)) working_.copy_(master_);
}

void FlatParams::zero_grad() {
  partial_grad_.zero_();
}

void FlatParams::collect_grad() {
  if (working_grad_.is_same(partial_grad_)) return;
  partial_grad_.add_(working_grad_);
  working_grad_.zero_();
}

void FlatParams::finish_grad() {
  const int64_t tied_head = partial_grad_.numel() - size();
  if (tied_head == 0) return;
  torch::Tensor rest = partial_grad_.narrow(0, size(), tied_head);
  grad_.narrow(0, layout_.offset_of("model.embed_tokens.weight"), tied_head).add_(rest);
  rest.zero_();
}

}  // namespace terse::trainer
