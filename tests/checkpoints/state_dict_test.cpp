// Adds tensors to a state and takes them out again, with the errors for missing and partial tensors.
#include "checkpoints/state_dict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace terse::checkpoints {
namespace {

using ::testing::HasSubstr;

TEST(StateDict, WholeTensorsShareMemoryAndLoseTheirGradient) {
  torch::Tensor weight = torch::zeros({2, 3}, torch::requires_grad());
  StateDict state;
  state.add("weight", weight);
  EXPECT_FALSE(state.tensors.at("weight").data.requires_grad());
  weight.data().fill_(5);
  EXPECT_TRUE(torch::equal(state.whole("weight"), torch::full({2, 3}, 5.0f)));
}

TEST(StateDict, NamesAMissingTensor) {
  StateDict state;
  state.add("adam/m", torch::zeros({2}));
  try {
    state.whole("adam/exp_avg");
    FAIL() << "expected an error";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("adam/exp_avg"));
    EXPECT_THAT(error.what(), HasSubstr("adam/m"));
  }
}

TEST(StateDict, NamesAPartialTensor) {
  StateDict state;
  state.tensors["w"] = {torch::zeros({2}), {2, 3}, 4, 6};
  try {
    state.whole("w");
    FAIL() << "expected an error";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(),
                HasSubstr("tensor w: only elements 4 to 6 were loaded, but all 6 of shape [2, 3] are needed"));
  }
}

TEST(StateDict, RefusesANameTwiceAndUndefinedTensors) {
  StateDict state;
  state.add("w", torch::zeros({2}));
  EXPECT_THROW(state.add("w", torch::zeros({2})), std::invalid_argument);
  EXPECT_THROW(state.add("v", torch::Tensor()), std::invalid_argument);
}

TEST(StateDict, ScalarsAndEmptyTensorsKeepTheirShape) {
  StateDict state;
  state.add("scalar", torch::tensor(3.5));
  state.add("empty", torch::zeros({4, 0, 2}));
  EXPECT_EQ(state.whole("scalar").dim(), 0);
  EXPECT_EQ(state.whole("empty").sizes(), (torch::IntArrayRef{4, 0, 2}));
}

}  // namespace
}  // namespace terse::checkpoints
