// A model must refuse positions for which it has no rotation angles. The kernels would read past the end of the table.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/tiny_model.h"

namespace terse::trainer {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string refusal(Transformer& model, const data::Batch& batch) {
  try {
    torch::NoGradGuard no_grad;
    model.hidden(batch);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

class SequenceLimit : public ::testing::TestWithParam<bool> {
 protected:
  ModelSpec spec() const {
    ModelSpec spec = support::tiny_spec();
    spec.bf16 = GetParam();
    return spec;
  }
};

TEST_P(SequenceLimit, ASequenceOfMaxSeqLenFitsAndALongerOneDoesNot) {
  Transformer model(spec(), torch::kCPU, 1);
  const int64_t longest = model.spec().max_seq_len;
  EXPECT_EQ(refusal(model, data::pack(support::random_sequences({3, longest, 5}, 1))), "accepted");
  EXPECT_THAT(
      refusal(model, data::pack(support::random_sequences({3, longest + 1, 5}, 1))),
      AllOf(HasSubstr("position 160 of a sequence has no rotation angle"), HasSubstr("model.max_seq_len is 160")));
}

TEST_P(SequenceLimit, BatchesLongerThanMaxSeqLenAreFineWhenTheirSequencesAreNot) {
  Transformer model(spec(), torch::kCPU, 1);
  EXPECT_EQ(refusal(model, data::pack(support::random_sequences({150, 150, 150}, 1))), "accepted");
}

TEST_P(SequenceLimit, ANegativePositionIsRefused) {
  Transformer model(spec(), torch::kCPU, 1);
  data::Batch batch = data::pack(support::random_sequences({4}, 1));
  batch.positions[2] = -1;
  EXPECT_THAT(refusal(model, batch), HasSubstr("position -1"));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, SequenceLimit, ::testing::Bool(),
                         [](const auto& instance) { return instance.param ? "bf16" : "fp32"; });

TEST(SequenceLimitOfTraining, RefusesTheSame) {
  Transformer model(support::tiny_spec({.recompute = true}), torch::kCPU, 1);
  const data::Batch batch = data::pack(support::random_sequences({161}, 1));
  EXPECT_THROW(model.logprobs(batch, batch.weights.nonzero().squeeze(1)), std::invalid_argument);
}

}  // namespace
}  // namespace terse::trainer
