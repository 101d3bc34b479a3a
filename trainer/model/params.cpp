// Layout, initialisation and views of the flat parameter buffer.
#include "trainer/model/params.h"

#include <cmath>

#include "data/philox.h"

namespace terse::trainer {

int64_t ParamInfo::numel() const {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  return n;
}

FlatParams::FlatParams(const ModelSpec& spec, torch::Device device, uint64_t seed) {
  lay_out(spec);
  int64_t total = 0;
  for (const ParamInfo& info : infos_) total += info.numel();
  master_ = torch::empty({total}, torch::kFloat32);
  initialise(seed);
  master_ = master_.to(device);
  grad_ = torch::zeros_like(master_);
  working_ = spec.bf16 ? master_.to(torch::kBFloat16) : master_;
  working_grad_ = spec.bf16 && !device.is_cpu() ? torch::zeros_like(working_) : grad_;
  make_views(spec);
}

void FlatParams::lay_out(const ModelSpec& spec) {
  const double std = spec.init_std;
  const double residual_std = std / std::sqrt(2.0 * static_cast<double>(spec.layers));
  std::vector<ParamInfo> decayed, plain;
  auto matrix = [&](std::string name, int64_t out, int64_t in, double s) {
    decayed.push_back({name, {out, in}, 0, s, 0});
  };
  auto vector = [&](std::string name, int64_t n, double value) { plain.push_back({name, {n}, 0, 0, value}); };
  plain.push_back({"model.embed_tokens.weight", {spec.vocab, spec.width}, 0, std, 0});
  for (int64_t l = 0; l < spec.layers; ++l) {
    const std::string block = "model.layers." + std::to_string(l) + ".";
    const int64_t q = spec.attention_width(), kv = spec.kv_heads * spec.head_width;
    matrix(block + "self_attn.q_proj.weight", q, spec.width, std);
    matrix(block + "self_attn.k_proj.weight", kv, spec.width, std);
    matrix(block + "self_attn.v_proj.weight", kv, spec.width, std);
    matrix(block + "self_attn.o_proj.weight", spec.width, q, residual_std);
    matrix(block + "mlp.gate_proj.weight", spec.ffn_width, spec.width, std);
    matrix(block + "mlp.up_proj.weight", spec.ffn_width, spec.width, std);
    matrix(block + "mlp.down_proj.weight", spec.width, spec.ffn_width, residual_std);
    vector(block + "input_layernorm.weight", spec.width, 1);
    vector(block + "post_attention_layernorm.weight", spec.width, 1);
    if (spec.qkv_bias) {
      vector(block + "self_attn.q_proj.bias", q, 0);
      vector(block + "self_attn.k_proj.bias", kv, 0);
      vector(block + "self_attn.v_proj.bias", kv, 0);
    }
    if (spec.qk_norm) {
      vector(block + "self_attn.q_norm.weight", spec.head_width, 1);
      vector(block + "self_attn.k_norm.weight", spec.head_width, 1);
    }
  }
  vector("model.norm.weight", spec.width, 1);
  if (!spec.tie_embeddings) matrix("lm_head.weight", spec.vocab, spec.width, std);

  int64_t offset = 0;
  for (auto* group : {&decayed, &plain}) {
    for (ParamInfo& info : *group) {
      info.offset = offset;
      offset += info.numel();
      offset_[info.name] = info.offset;
      infos_.push_back(std::move(info));
    }
    if (group == &decayed) decayed_ = offset;
  }
}

void FlatParams::initialise(uint64_t seed) {
  float* out = master_.data_ptr<float>();
  for (size_t p = 0; p < infos_.size(); ++p) {
    const ParamInfo& info = infos_[p];
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
  const int64_t offset = offset_.at(first);
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  // The kernels of the CPU want norms and biases in fp32 even where matrices are bf16.
  const bool vector_on_cpu = shape.size() == 1 && master_.device().is_cpu();
  torch::Tensor view = (vector_on_cpu ? master_ : working_).narrow(0, offset, n).view(shape).detach();
  view.requires_grad_(true);
  view.mutable_grad() = working_grad_.narrow(0, offset, n).view(shape);
  return view;
}

void FlatParams::make_views(const ModelSpec& spec) {
  embedding_ = leaf("model.embed_tokens.weight", {spec.vocab, spec.width});
  head_ = spec.tie_embeddings ? embedding_ : leaf("lm_head.weight", {spec.vocab, spec.width});
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
  grad_.zero_();
}

void FlatParams::collect_grad() {
  if (working_grad_.is_same(grad_)) return;
  grad_.add_(working_grad_);
  working_grad_.zero_();
}

}  // namespace terse::trainer
