#include "trainer/plan/memory.h"

#include <algorithm>
#include <numeric>

#include "trainer/kernels/kernels.h"

namespace terse::trainer::plan {

namespace {

constexpr double kPrefillRows = 4096;  // of rl/engine/engine.cpp

double working_bytes(const ModelSpec& spec) {
  return spec.bf16 ? 2 : 4;
}

bool has_kernel_decoder(const ModelSpec& spec, bool cuda) {
  return !cuda && !spec.bf16;
}

// Tokens that one slot has room for.
double slot_tokens(const ModelSpec& spec, bool cuda) {
  const int64_t block = has_kernel_decoder(spec, cuda) ? kernels::kKeyBlock : 1;
  return static_cast<double>((spec.context + block - 1) / block * block);
}

}  // namespace

double total_bytes(const std::vector<Consumer>& consumers) {
  return std::accumulate(consumers.begin(), consumers.end(), 0.0,
                         [](double sum, const Consumer& consumer) { return sum + consumer.bytes; });
}

std::vector<Consumer> state_bytes(const ModelSpec& spec, const Sharding& sharding, bool cuda) {
  const std::vector<double> units = unit_sizes(spec);
  const double whole = shard_elements(units, 1), largest = *std::max_element(units.begin(), units.end());
  const int64_t ranks = sharding.shard().ranks, zero = ranks > 1 ? sharding.zero : 1;
  const double part = shard_elements(units, ranks), w = working_bytes(spec);
  const bool one_buffer = !spec.bf16 && (ranks == 1 || zero == 3);
  std::vector<Consumer> out;
  const auto add = [&](const char* name, double bytes) {
    if (bytes > 0) out.push_back({name, bytes});
  };
  add("weights", zero == 3 ? w * part : w * whole);
  if (zero == 3) add("gathered units", 2 * w * largest);
  add("fp32 masters", one_buffer ? 0 : 4 * part);
  add("AdamW moments", 8 * part);
  add("gradients", zero == 1 ? 4 * whole : 4 * part + 8 * largest);
  if (cuda && spec.bf16 && zero == 1) add("gradients of a pass", 2 * whole);
  return out;
}

std::vector<Consumer> engine_bytes(const ModelSpec& spec, const Generation& generation, bool cuda) {
  const double size = has_kernel_decoder(spec, cuda) ? 4 : working_bytes(spec);
  const double head = static_cast<double>(spec.kv_heads * spec.head_width * spec.layers);
  std::vector<Consumer> out = {{
      "keys and values",
      static_cast<double>(generation.slots) * slot_tokens(spec, cuda) * 2 * head * size,
  }};
  if (has_kernel_decoder(spec, cuda)) {
    double packed = shard_elements(unit_sizes(spec), 1);
    if (spec.tie_embeddings) packed += static_cast<double>(spec.vocab * spec.width);  // the head apart, transposed
    out.push_back({"weights to decode with", 4 * packed});
  }
  return out;
}

double decoding_bytes(const ModelSpec& spec, const Generation& generation, bool cuda) {
  const double live = static_cast<double>(std::min(generation.slots, generation.requests));
  const double prompt = static_cast<double>(generation.prompt_tokens);
  const double prefill = std::min(live * prompt, kPrefillRows - 1 + prompt);
  const double rows = std::max(live, prefill), w = static_cast<double>(spec.qkv_width() + 3 * spec.ffn_width);
  const double size = has_kernel_decoder(spec, cuda) ? 4 : working_bytes(spec);
  double bytes = rows * size * (w + 3 * static_cast<double>(spec.width + spec.attention_width()));
  bytes += live * static_cast<double>(spec.vocab) * 4 * 2;  // logits and probabilities
  if (has_kernel_decoder(spec, cuda)) return bytes;
  // Each row reads a copy of its slot's keys and values, and has a mask. On a GPU a mask and grouped heads leave only
  // the plain implementation: the copy is repeated for every query head, and there are scores and their softmax.
  const double c = static_cast<double>(spec.head_width), capacity = slot_tokens(spec, cuda);
  const double heads = static_cast<double>(spec.heads), kv_heads = static_cast<double>(spec.kv_heads);
  double of_a_token = size * 2 * kv_heads * c + 1;
  if (cuda) of_a_token += 2 * 4 * heads;
  if (cuda && spec.heads != spec.kv_heads) of_a_token += size * 2 * heads * c;
  return bytes + rows * capacity * of_a_token;
}

}  // namespace terse::trainer::plan
