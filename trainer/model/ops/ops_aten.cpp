// Transformer operations from LibTorch's functions; autograd derives the backward passes.
#include "trainer/model/ops/ops_aten.h"

#include <ATen/ops/_flash_attention_forward.h>

#include <cmath>
#include <limits>

namespace terse::trainer::ops::aten {

torch::Tensor embed(const torch::Tensor& tokens, const torch::Tensor& weight) {
  return weight.index_select(0, tokens);
}

torch::Tensor rms_norm(const torch::Tensor& x, const torch::Tensor& weight, double eps) {
  return at::rms_norm(x, {x.size(-1)}, weight, eps);
}

torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) {
  return bias.defined() ? at::linear(x, weight, bias) : at::linear(x, weight);
}

torch::Tensor qk_norm(const torch::Tensor& qkv, const torch::Tensor& q_norm, const torch::Tensor& k_norm,
                      const ModelSpec& spec) {
  const int64_t n = qkv.size(0), c = spec.head_dim;
  const auto parts = qkv.view({n, -1, c}).split_with_sizes({spec.heads, spec.kv_heads, spec.kv_heads}, 1);
  return torch::cat({rms_norm(parts[0], q_norm, spec.norm_eps), rms_norm(parts[1], k_norm, spec.norm_eps), parts[2]}, 1)
      .view({n, -1});
}

torch::Tensor rotate(const torch::Tensor& x, const torch::Tensor& positions, const torch::Tensor& rope) {
  const auto angles = rope.index_select(0, positions).unsqueeze(1).chunk(2, -1);
  const torch::Tensor &cos = angles[0], &sin = angles[1];
  const auto halves = x.to(torch::kFloat32).chunk(2, -1);
  return torch::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1).to(x.scalar_type());
}

torch::Tensor segment_mask(const Segments& segments, int64_t tokens) {
  const torch::Tensor rows = torch::arange(tokens, segments.starts.options());
  // The segment of a row is the number of segment starts (after the first) that are at or before it.
  const torch::Tensor inner = segments.starts.slice(0, 1, segments.starts.size(0) - 1);
  const torch::Tensor segment = torch::searchsorted(inner, rows, /*out_int32=*/true, /*right=*/true);
  const torch::Tensor mask = (segment.unsqueeze(1) == segment.unsqueeze(0)) & (rows.unsqueeze(1) >= rows.unsqueeze(0));
  if (!segments.prefixes.defined()) return mask;
  return mask | (segments.prefixes.index_select(0, segment).unsqueeze(1) == segment.unsqueeze(0));
}

JoinedKeys join_keys(const Segments& segments) {
  const torch::Tensor starts = segments.starts.cpu(), prefixes = segments.prefixes.cpu();
  const int32_t *start = starts.data_ptr<int32_t>(), *prefix = prefixes.data_ptr<int32_t>();
  std::vector<int64_t> rows;
  std::vector<int32_t> joined = {0};
  for (int64_t s = 0; s < prefixes.size(0); ++s) {
    if (prefix[s] >= 0)
      for (int64_t row = start[prefix[s]]; row < start[prefix[s] + 1]; ++row) rows.push_back(row);
    for (int64_t row = start[s]; row < start[s + 1]; ++row) rows.push_back(row);
    joined.push_back(static_cast<int32_t>(rows.size()));
  }
  const torch::Device device = segments.starts.device();
  return {torch::tensor(rows, torch::kInt64).to(device), torch::tensor(joined, torch::kInt32).to(device)};
}

std::array<torch::Tensor, 3> split_rope(const torch::Tensor& qkv, const torch::Tensor& positions,
                                        const torch::Tensor& rope, const ModelSpec& spec) {
  const auto parts =
      qkv.view({qkv.size(0), -1, spec.head_dim}).split_with_sizes({spec.heads, spec.kv_heads, spec.kv_heads}, 1);
  return {rotate(parts[0], positions, rope), rotate(parts[1], positions, rope), parts[2].contiguous()};
}

namespace {

// Keys or values as the cache holds them. The backward pass takes the rounding for the identity.
torch::Tensor as_cached(const torch::Tensor& x, const ModelSpec& spec) {
  if (!spec.bf16_kv || x.scalar_type() == torch::kBFloat16) return x;
  return x + (x.detach().to(torch::kBFloat16).to(x.scalar_type()) - x.detach());
}

}  // namespace

torch::Tensor attend(const torch::Tensor& q, const torch::Tensor& new_k, const torch::Tensor& new_v,
                     const Segments& segments, const ModelSpec& spec) {
  const int64_t n = q.size(0);
  const torch::Tensor k = as_cached(new_k, spec), v = as_cached(new_v, spec);
  if (q.is_cuda() && q.scalar_type() == torch::kBFloat16) {
    const auto longest = [](const torch::Tensor& starts) { return starts.diff().max().item<int64_t>(); };
    const bool shared = segments.prefixes.defined();
    const JoinedKeys joined = shared ? join_keys(segments) : JoinedKeys{{}, segments.starts};
    const auto keys = [&](const torch::Tensor& x) { return shared ? x.index_select(0, joined.rows) : x; };
    // Where a segment has more keys than queries, the last query attends to the last key.
    return std::get<0>(at::_flash_attention_forward(q, keys(k), keys(v), segments.starts, joined.starts,
                                                    longest(segments.starts), longest(joined.starts), 0.0,
                                                    /*is_causal=*/true, false, spec.attention_scale()))
        .reshape({n, -1});
  }
  const auto heads_first = [](const torch::Tensor& x) { return x.transpose(0, 1).unsqueeze(0); };
  return at::scaled_dot_product_attention(heads_first(q), heads_first(k), heads_first(v), segment_mask(segments, n),
                                          0.0, false, spec.attention_scale(), spec.heads != spec.kv_heads)
      .squeeze(0)
      .transpose(0, 1)
      .reshape({n, -1});
}

torch::Tensor attention(const torch::Tensor& qkv, const torch::Tensor& positions, const Segments& segments,
                        const torch::Tensor& rope, const ModelSpec& spec) {
  const auto [q, k, v] = split_rope(qkv, positions, rope, spec);
  return attend(q, k, v, segments, spec);
}

torch::Tensor swiglu(const torch::Tensor& gate_up) {
  const auto halves = gate_up.chunk(2, -1);
  return at::silu(halves[0]) * halves[1];
}

TokenLogProbs token_logprobs(const torch::Tensor& x, const torch::Tensor& head, const torch::Tensor& targets,
                             const LogitTransform& transform) {
  torch::Tensor logits = at::linear(x, head).to(torch::kFloat32);
  if (transform.cuts()) {  // the sampler also cuts before it scales
    torch::Tensor kept = logits.detach().to(torch::kCPU).contiguous().clone();
    const torch::Tensor keep = targets.to(torch::kCPU).contiguous();
    cut_rows(transform, kept.data_ptr<float>(), kept.size(0), kept.size(1), keep.data_ptr<int64_t>());
    logits = logits.masked_fill(kept.to(logits.device()).isneginf(), -std::numeric_limits<float>::infinity());
  }
  if (transform.scale() != 1.0f) logits = logits * transform.scale();
  const torch::Tensor logp = at::log_softmax(logits, -1);
  const torch::Tensor p = logp.exp();
  return {logp.gather(1, targets.unsqueeze(1)).squeeze(1), -(p * logp.masked_fill(p == 0, 0)).sum(-1)};
}

}  // namespace terse::trainer::ops::aten
