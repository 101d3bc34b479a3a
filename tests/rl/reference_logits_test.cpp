// Compares a trained checkpoint with an independent implementation of the model
// (tests/support/references/reference_model.h): all log-probs of the learner's forward pass, the decoder's logits, and
// the gradient of the loss with respect to every weight.
#include <gtest/gtest.h>

#include <cmath>

#include "checkpoints/store.h"
#include "data/windows.h"
#include "rl/engine/decoder.h"
#include "tests/support/references/reference_model.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_model.h"
#include "trainer/optimizer.h"
#include "trainer/train.h"

namespace terse::rl {
namespace {

using support::ReferenceModel;
using torch::Tensor;

constexpr int64_t kVocab = 16;
constexpr double kClose = 1e-5;  // fp32 against double

struct Shape {
  const char* name;
  void (*change)(configs::Model&);
};

const Shape kShapes[] = {
    {"default", [](configs::Model&) {}},
    {"grouped_queries", [](configs::Model& m) { m.kv_heads = 2; }},
    {"one_key_head_of_another_size", [](configs::Model& m) { m.kv_heads = 1, m.head_dim = 20; }},
    {"qk_norm", [](configs::Model& m) { m.qk_norm = true; }},
    {"qkv_bias", [](configs::Model& m) { m.qkv_bias = true; }},
    {"untied_head", [](configs::Model& m) { m.tie_embeddings = false; }},
    {"rope_theta", [](configs::Model& m) { m.rope_theta = 50; }},
    {"rope_scaling",
     [](configs::Model& m) {
       m.rope_theta = 100, m.rope_scaling = {"llama3", 4, 1, 3, 32};
     }},
    {"norm_eps", [](configs::Model& m) { m.norm_eps = 0.3; }},
    {"all_of_them",
     [](configs::Model& m) {
       m.kv_heads = 2, m.head_dim = 8, m.qk_norm = m.qkv_bias = true, m.tie_embeddings = false;
       m.rope_theta = 1e6, m.norm_eps = 1e-5, m.layers = 3, m.intermediate_size = 0;
     }},
};

trainer::ModelSpec spec_of(const Shape& shape) {
  configs::Model model;
  model.layers = 2;
  model.hidden_size = 48;
  model.heads = 4;
  model.intermediate_size = 72;
  model.max_seq_len = 64;
  model.init_std = 0.08;
  shape.change(model);
  return trainer::resolve(model, kVocab);
}

// Windows of a text with documents of 1 to 40 tokens: packed sequences of several segments each.
data::Batch packed() {
  std::vector<int32_t> tokens;
  std::vector<int64_t> documents;
  for (const int64_t length : {1, 30, 7, 12, 2, 25, 40, 9, 18}) {
    documents.push_back(static_cast<int64_t>(tokens.size()));
    for (int64_t i = 0; i < length; ++i) tokens.push_back(static_cast<int32_t>((i * i + 3 * i + length) % kVocab));
  }
  const data::Windows windows(data::whole(std::make_shared<data::MemoryTokens>(tokens, documents)), 36, 20);
  return windows.batch({0, 1, 2, 3, 4});
}

std::vector<std::vector<int64_t>> segments_of(const data::Batch& batch) {
  std::vector<std::vector<int64_t>> out;
  const int32_t* start = batch.segments.data_ptr<int32_t>();
  const int64_t* token = batch.tokens.data_ptr<int64_t>();
  for (int64_t s = 0; s < batch.segment_count(); ++s) out.emplace_back(token + start[s], token + start[s + 1]);
  return out;
}

Tensor reference_log_probs(const ReferenceModel& reference, const data::Batch& batch) {
  std::vector<Tensor> rows;
  for (const auto& tokens : segments_of(batch)) rows.push_back(reference.log_probs(tokens));
  return torch::cat(rows);
}

double largest(const Tensor& difference) {
  return difference.abs().max().item<double>();
}

class ReferenceLogits : public ::testing::TestWithParam<Shape> {
 protected:
  // Trains a model briefly, saves it and loads it again. A longer training would leave no gradient to compare.
  void SetUp() override {
    trainer::Transformer student(spec, torch::kCPU, 5);
    configs::Optimizer options;
    trainer::AdamW optimizer(student.params(), options);
    for (int step = 0; step < 25; ++step) {
      student.params().zero_grad();
      trainer::accumulate_cross_entropy(student, {batch, batch.sequence_count()}, {});
      optimizer.step(4e-3);
    }
    const support::TemporaryFolder folder;
    checkpoints::StateDict state;
    student.save(state);
    checkpoints::Store(folder.path(), {.async = false}).save({1, "pretrain", "", 0}, state);
    saved = checkpoints::load(folder.path() / "step-1").state;
    model.restore(saved);
  }

  const data::Batch batch = packed();
  const trainer::ModelSpec spec = spec_of(GetParam());
  checkpoints::StateDict saved;
  trainer::Transformer model{spec, torch::kCPU, 6};
};

TEST_P(ReferenceLogits, LogProbsOfEveryTokenOfTheVocabularyAgree) {
  torch::NoGradGuard no_grad;
  const Tensor expected = reference_log_probs(ReferenceModel(spec, saved), batch);
  const Tensor hidden = model.hidden(batch).x.repeat_interleave(kVocab, 0);
  const Tensor all = torch::arange(kVocab).repeat({batch.token_count()});
  const auto ours = trainer::ops::token_logprobs(hidden, model.params().head(), all, {});
  const double difference = largest(ours.logprob.view({-1, kVocab}).to(torch::kFloat64) - expected);
  RecordProperty("largest_difference", std::to_string(difference));
  EXPECT_LT(difference, kClose);
  // The entropy of the same distributions.
  const Tensor entropy = -(expected.exp() * expected).sum(-1).repeat_interleave(kVocab, 0);
  EXPECT_LT(largest(ours.entropy.to(torch::kFloat64) - entropy), kClose);
  EXPECT_GT(expected.exp().max().item<double>(), 0.5) << "the model has learned something";
}

TEST_P(ReferenceLogits, LogitsOfTheDecoderAgree) {
  torch::NoGradGuard no_grad;
  const ReferenceModel reference(spec, saved);
  const auto decoder = make_kernel_decoder(model, 1 + pages_for(spec.max_seq_len));
  PageTable pages;
  for (int32_t page = 0; page < pages_for(spec.max_seq_len); ++page) pages.insert(pages.begin(), page + 1);
  for (const auto& tokens : segments_of(batch)) {
    const Tensor expected = reference.logits(tokens);
    // Runs the first half at once, as a prompt, and then token by token.
    const size_t prompt = (tokens.size() + 1) / 2;
    for (size_t begin = 0; begin < tokens.size();) {
      const size_t end = begin == 0 ? prompt : begin + 1;
      DecodeRows rows;
      for (size_t i = begin; i < end; ++i) rows.add(pages, tokens[i], static_cast<int64_t>(i));
      rows.want_last();
      const Tensor ours = decoder->forward(rows)[0].to(torch::kFloat64);
      EXPECT_LT(largest(ours - expected[static_cast<int64_t>(end) - 1]), kClose) << "position " << end - 1;
      begin = end;
    }
  }
}

TEST_P(ReferenceLogits, TheGradientOfTheLossAgreesForEveryWeight) {
  const ReferenceModel reference(spec, saved);
  const Tensor picked = reference_log_probs(reference, batch).gather(1, batch.targets.unsqueeze(1)).squeeze(1);
  const Tensor weights = batch.weights.to(torch::kFloat64);
  const Tensor loss = -(picked * weights).sum() / weights.sum();
  loss.backward();
  model.params().zero_grad();
  const trainer::LossSum ours = trainer::accumulate_cross_entropy(model, {batch, batch.sequence_count()}, {2});
  model.params().finish_grad();
  EXPECT_NEAR(ours.mean().value(), loss.item<double>(), 1e-6);
  double total = 0;
  for (const trainer::ParamInfo& info : model.params().layout().infos) {
    const Tensor mine = model.params().grad().narrow(0, info.offset, info.numel()).view(info.shape);
    const Tensor& expected = reference.weights().at(info.name).grad();
    // The tolerance is relative to the tensor's largest entry, because small entries of the embedding and the biases
    // are sums that cancel.
    EXPECT_LT(largest(mine.to(torch::kFloat64) - expected), 2e-5 * largest(expected) + 1e-8) << info.name;
    total += largest(expected);
  }
  EXPECT_GT(total, 1e-3) << "there is a gradient to compare";
}

INSTANTIATE_TEST_SUITE_P(Shapes, ReferenceLogits, ::testing::ValuesIn(kShapes),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace terse::rl
