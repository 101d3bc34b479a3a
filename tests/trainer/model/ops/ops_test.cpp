// Compares values and gradients of the operations on the CPU kernels with LibTorch's.
#include "trainer/model/ops/ops.h"

#include <gtest/gtest.h>

#include "data/pack.h"
#include "tests/support/tiny_model.h"
#include "trainer/model/ops/ops_aten.h"

namespace terse::trainer {
namespace {

using torch::Tensor;

void expect_close(const Tensor& a, const Tensor& b, const char* what, double tolerance = 2e-5) {
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  const double scale = std::max(1.0, b.abs().max().item<double>());
  EXPECT_LT((a - b).abs().max().item<double>(), tolerance * scale) << what;
}

// A leaf whose gradient buffer already exists, as it does for the views of FlatParams.
Tensor weight(at::IntArrayRef shape) {
  Tensor w = (torch::randn(shape) * 0.3).requires_grad_(true);
  w.mutable_grad() = torch::zeros(shape);
  return w;
}

Tensor grad_and_clear(const Tensor& w) {
  Tensor g = w.grad().clone();
  w.grad().zero_();
  return g;
}

// Divides `rows` rows into two sequences.
Tensor sequences(int64_t rows) {
  return torch::tensor({int64_t{0}, rows / 3, rows}, torch::kInt32);
}

class Ops : public ::testing::Test {
 protected:
  void SetUp() override { torch::manual_seed(7); }
};

TEST_F(Ops, LinearMatchesLibTorch) {
  for (const auto& [rows, in, out] : {std::tuple<int64_t, int64_t, int64_t>{1, 5, 3}, {37, 48, 96}, {130, 33, 17}}) {
    const Tensor w = weight({out, in}), b = weight({out}), up = torch::randn({rows, out});
    Tensor x = torch::randn({rows, in}).requires_grad_(true), z = x.detach().clone().requires_grad_(true);
    const Tensor y = ops::linear(x, w, b, sequences(rows));
    y.backward(up);
    const Tensor gw = grad_and_clear(w), gb = grad_and_clear(b);
    const Tensor reference = ops::aten::linear(z, w, b);
    reference.backward(up);
    expect_close(y, reference, "y");
    expect_close(x.grad(), z.grad(), "dx");
    expect_close(gw, w.grad(), "dw");
    expect_close(gb, b.grad(), "db");
  }
}

TEST_F(Ops, RmsNormAndSwigluMatchLibTorch) {
  const Tensor w = weight({48}), up = torch::randn({29, 48});
  Tensor x = torch::randn({29, 48}).requires_grad_(true), z = x.detach().clone().requires_grad_(true);
  const Tensor y = ops::rms_norm(x, w, 1e-6, sequences(29));
  y.backward(up);
  const Tensor gw = grad_and_clear(w), reference = ops::aten::rms_norm(z, w, 1e-6);
  reference.backward(up);
  expect_close(y, reference, "norm");
  expect_close(x.grad(), z.grad(), "norm dx");
  expect_close(gw, w.grad(), "norm dw");

  Tensor g = torch::randn({29, 34}).requires_grad_(true), h = g.detach().clone().requires_grad_(true);
  ops::swiglu(g).backward(torch::ones({29, 17}));
  ops::aten::swiglu(h).backward(torch::ones({29, 17}));
  expect_close(ops::swiglu(g), ops::aten::swiglu(h), "swiglu");
  expect_close(g.grad(), h.grad(), "swiglu dx");
}

// Responses behind shared prompts.
data::Batch shared_batch() {
  static const std::vector<data::Sequence> texts = support::random_sequences({9, 20, 5, 1, 1, 33, 8}, 4);
  const auto response = [](size_t i) {
    return data::SharedPrompt::Response{texts[i].tokens, std::vector<float>(texts[i].tokens.size(), 1)};
  };
  return data::pack_shared({{texts[0].tokens, {response(1), response(2)}},
                            {texts[3].tokens, {response(4), response(5)}},
                            {texts[6].tokens, {response(2), response(4), response(5)}}});
}

TEST_F(Ops, AttentionMatchesLibTorchWithGroupedHeadsAndQkNorm) {
  for (const data::Batch& batch : {data::pack(support::random_sequences({1, 7, 40, 16, 17}, 3)), shared_batch()}) {
    for (const int64_t kv_heads : {1, 2, 4}) {
      const ModelSpec spec = support::tiny_spec({.kv_heads = kv_heads});
      const Tensor rope = ops::make_rope_table(spec, torch::kCPU), q_norm = weight({16}), k_norm = weight({16});
      const int64_t n = batch.token_count();
      const Tensor up = torch::randn({n, spec.attention_size()});
      Tensor x = torch::randn({n, spec.qkv_size()}).requires_grad_(true), z = x.detach().clone().requires_grad_(true);
      const ops::Segments segments{batch.segments, batch.prefixes};
      const Tensor y =
          ops::attention(ops::qk_norm(x, q_norm, k_norm, spec, batch.sequences), batch.positions, segments, rope, spec);
      y.backward(up);
      const Tensor gq = grad_and_clear(q_norm), gk = grad_and_clear(k_norm);
      const Tensor reference =
          ops::aten::attention(ops::aten::qk_norm(z, q_norm, k_norm, spec), batch.positions, segments, rope, spec);
      reference.backward(up);
      expect_close(y, reference, "attention");
      expect_close(x.grad(), z.grad(), "dqkv");
      expect_close(gq, q_norm.grad(), "dq_norm");
      expect_close(gk, k_norm.grad(), "dk_norm");
    }
  }
}

TEST_F(Ops, AttentionRoundsKeysAndValuesAsTheirCacheDoes) {
  const data::Batch batch = shared_batch();
  const ModelSpec exact = support::tiny_spec(), spec = support::tiny_spec({.kv_cache_dtype = "bf16"});
  const Tensor rope = ops::make_rope_table(spec, torch::kCPU), up = torch::randn({batch.token_count(), 64});
  // No rotation, so that both round the same numbers.
  const Tensor positions = torch::zeros_like(batch.positions);
  Tensor x = torch::randn({batch.token_count(), spec.qkv_size()}).requires_grad_(true);
  Tensor z = x.detach().clone().requires_grad_(true), rounded = x.detach().clone();
  Tensor keys_and_values = rounded.slice(1, spec.attention_size());
  keys_and_values.copy_(keys_and_values.to(torch::kBFloat16).to(torch::kFloat32));
  const ops::Segments segments{batch.segments, batch.prefixes};
  const Tensor y = ops::attention(x, positions, segments, rope, spec);
  EXPECT_TRUE(torch::equal(y, ops::attention(rounded, positions, segments, rope, exact)));
  y.backward(up);
  const Tensor reference = ops::aten::attention(z, positions, segments, rope, spec);
  reference.backward(up);
  expect_close(y, reference, "attention");
  expect_close(x.grad(), z.grad(), "dqkv");
}

// Flash attention takes joined keys, and everything else a mask. Both must say the same.
TEST_F(Ops, JoinedKeysAreThoseOfTheMask) {
  const data::Batch batch = shared_batch();
  const ops::Segments segments{batch.segments, batch.prefixes};
  const auto [rows, starts] = ops::aten::join_keys(segments);
  Tensor mask = torch::zeros({batch.token_count(), batch.token_count()}, torch::kBool);
  for (int64_t s = 0; s < batch.segment_count(); ++s) {
    const int64_t begin = batch.segments[s].item<int32_t>(), end = batch.segments[s + 1].item<int32_t>();
    const int64_t first = starts[s].item<int32_t>(), last = starts[s + 1].item<int32_t>();
    for (int64_t query = begin; query < end; ++query)
      mask[query].index_fill_(0, rows.slice(0, first, last - (end - 1 - query)), true);
  }
  EXPECT_TRUE(torch::equal(mask, ops::aten::segment_mask(segments, batch.token_count())));
}

TEST_F(Ops, TokenLogProbsMatchLibTorchUnderEveryTransform) {
  const LogitTransform transforms[] = {
      {}, {.temperature = 0.7}, {.top_k = 4}, {.top_p = 0.8}, {.temperature = 1.3, .min_p = 0.1}};
  for (const LogitTransform& transform : transforms) {
    const Tensor head = weight({16, 48}), targets = torch::randint(0, 16, {50}, torch::kInt64);
    const Tensor up = torch::randn({50}), up_entropy = torch::randn({50});
    Tensor x = torch::randn({50, 48}).requires_grad_(true), z = x.detach().clone().requires_grad_(true);
    const auto a = ops::token_logprobs(x, head, targets, transform, sequences(50));
    ((a.logprob * up).sum() + (a.entropy * up_entropy).sum()).backward();
    const Tensor gw = grad_and_clear(head);
    const auto b = ops::aten::token_logprobs(z, head, targets, transform);
    ((b.logprob * up).sum() + (b.entropy * up_entropy).sum()).backward();
    expect_close(a.logprob, b.logprob, "logprob");
    expect_close(a.entropy, b.entropy, "entropy");
    expect_close(x.grad(), z.grad(), "dx", 1e-4);
    expect_close(gw, head.grad(), "dw", 1e-4);
  }
}

}  // namespace
}  // namespace terse::trainer
