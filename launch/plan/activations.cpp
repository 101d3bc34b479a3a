// Counts elements per token and multiplies them by their size.
// memory_test.cpp compares the sums with real allocations.
#include "launch/plan/activations.h"

#include <algorithm>
#include <cmath>

#include "trainer/model/block_weights.h"

namespace terse::launch::plan {

namespace {

constexpr double kForwardLogits = 1 << 24;  // as in token_logprobs.cpp
// On a GPU: logits, log-probs, probs, log-probs without their infinities, and their product with the probs, each in
// fp32; and a mask of bytes.
constexpr double kBytesPerGpuLogit = 5 * 4 + 1;

struct Widths {
  explicit Widths(const ModelSpec& spec)
      : d(static_cast<double>(spec.hidden_size)),
        q(static_cast<double>(spec.qkv_size())),
        a(static_cast<double>(spec.attention_size())),
        f(static_cast<double>(spec.intermediate_size)),
        h(static_cast<double>(spec.heads)),
        k(static_cast<double>(spec.kv_heads)),
        v(static_cast<double>(spec.vocab)) {}
  double d, q, a, f, h, k, v;
};

double element_bytes(const ModelSpec& spec, bool cuda) {
  return cuda && spec.bf16 ? 2 : 4;
}

// The scaled row x A^T of each adapter; with dropout, also its mask, which is fp32 where it was drawn, and the product.
// On the CPU, products in bf16 keep rounded copies of their inputs instead.
double adapter_bytes_per_token(const ModelSpec& spec, bool cuda) {
  const double size = element_bytes(spec, cuda), rank = static_cast<double>(spec.lora.rank);
  const bool rounds = !cuda && spec.bf16;
  double bytes = 0;
  for (const trainer::BlockWeight& weight : trainer::block_weights(spec)) {
    for (const trainer::BlockWeight::Part& part : weight.parts) {
      if (!trainer::has_adapter(spec, part)) continue;
      const double in = static_cast<double>(weight.columns);
      bytes += (rounds ? 2 : size) * rank + (rounds ? 2 * in : 0);
      if (spec.lora.dropout > 0) bytes += size * in + (rounds ? 0 : size * in);
    }
  }
  return bytes;
}

}  // namespace

double block_bytes_per_token(const ModelSpec& spec, bool cuda) {
  const Widths w(spec);
  const double size = element_bytes(spec, cuda), adapters = adapter_bytes_per_token(spec, cuda);
  const double roots = 4 * (w.h + 2);
  const double heads = spec.qk_norm ? size * w.q + 4 * (w.h + w.k) : 0;
  if (!cuda && spec.bf16) {
    return 4 * (2 * w.d + w.q + w.a + 2 * w.f) + 2 * (2 * w.d + w.a + w.f) + roots + heads + adapters;
  }
  return size * (4 * w.d + w.q + w.a + 3 * w.f) + roots + heads + adapters;
}

double activation_bytes(const ModelSpec& spec, bool cuda, Pass pass) {
  const Widths w(spec);
  const double size = element_bytes(spec, cuda), layers = static_cast<double>(spec.layers);
  // The final norm keeps its input and root. A row with a loss keeps the hidden state, log-prob, entropy and
  // log-sum-exp.
  const double last = size * w.d + 4, rows = size * w.d + 12;
  const double block = spec.activation_checkpointing ? size * w.d : block_bytes_per_token(spec, cuda);
  return static_cast<double>(pass.tokens) * (layers * block + last) + static_cast<double>(pass.loss_rows) * rows;
}

namespace {

bool has_feed_forward_adapters(const ModelSpec& spec) {
  const std::vector<std::string>& targets = spec.lora.targets;
  return spec.has_adapters() && std::any_of(targets.begin(), targets.end(), [](const std::string& target) {
           return target == "gate_proj" || target == "up_proj";
         });
}

double head_bytes(const ModelSpec& spec, bool cuda, Pass pass) {
  const Widths w(spec);
  const double size = element_bytes(spec, cuda), rows = static_cast<double>(pass.loss_rows);
  // The hidden state in forward, and its gradient in backward.
  const double hidden = size * w.d * static_cast<double>(pass.tokens);
  if (cuda) return hidden + rows * w.v * kBytesPerGpuLogit;
  const double chunk = std::max(1.0, std::floor(kForwardLogits / w.v)), logits = std::min(rows, chunk) * w.v;
  const double panels = (spec.bf16 ? 2 : 4) * w.d * w.v;  // the kernels' copy of the head
  return hidden + logits * 4 + panels + size * w.d * rows;
}

}  // namespace

double workspace_bytes(const ModelSpec& spec, bool cuda, Pass pass, Moment moment) {
  if (moment == Moment::kHead) return head_bytes(spec, cuda, pass);
  const Widths w(spec);
  const double size = element_bytes(spec, cuda);
  const double tokens = static_cast<double>(pass.tokens), rows = static_cast<double>(pass.loss_rows);
  // The gradients of the residual and of gate|up; the gradient of their product replaces the saved product. The tensors
  // that the final norm and the head saved are free by then.
  double feed_forward = size * ((w.d + 2 * w.f) * tokens - w.d * (tokens + rows));
  if (spec.activation_checkpointing) feed_forward += (block_bytes_per_token(spec, cuda) + size * w.d) * tokens;
  // The adapters of the two halves read the gradient of gate|up in parts, which are copied, and give gradients of their
  // input beside that of the weights.
  if (!cuda && has_feed_forward_adapters(spec)) feed_forward += size * (2 * w.f + 3 * w.d) * tokens;
  if (!cuda && spec.bf16) feed_forward += 2 * 2 * w.f * tokens;  // the gradient of gate|up, rounded
  return feed_forward;
}

double forward_bytes(const ModelSpec& spec, bool cuda, Pass pass) {
  const Widths w(spec);
  return static_cast<double>(pass.tokens) * element_bytes(spec, cuda) * 3 * (w.d + w.f);
}

}  // namespace terse::launch::plan
