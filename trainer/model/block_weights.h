// The weights of a block, declared once. The layout of the parameters, their views, the names in checkpoints, the
// decoders and the plan of memory all read this declaration. block.h says what a block computes with them.
#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "trainer/model/spec.h"

namespace terse::trainer {

// Letters: D hidden size, H query heads, K key/value heads, C head size, F feed-forward size.
struct BlockWeights {
  torch::Tensor attention_norm;  // [D]
  torch::Tensor qkv;             // [(H + 2K) C, D]
  torch::Tensor qkv_bias;        // [(H + 2K) C] or undefined
  torch::Tensor q_norm, k_norm;  // [C] or undefined
  torch::Tensor out;             // [D, H C]
  torch::Tensor ffn_norm;        // [D]
  torch::Tensor gate_up;         // [2F, D], gate rows first
  torch::Tensor down;            // [D, F]
};

// One tensor of BlockWeights. It may consist of several of Hugging Face's tensors, one below the other.
struct BlockWeight {
  struct Part {
    std::string name;  // Hugging Face's, without "model.layers.N."
    int64_t rows;
  };
  torch::Tensor BlockWeights::*member;
  std::vector<Part> parts;
  int64_t columns = 0;  // of a matrix; 0: a vector. Matrices decay, vectors do not
  double init_std = 0;  // 0: constant `init_value`
  double init_value = 0;

  bool is_matrix() const { return columns > 0; }
  int64_t rows() const;
  std::vector<int64_t> shape() const;
};

// The tensors that a block of this model has, matrices before vectors, in the order of the flat buffer.
std::vector<BlockWeight> block_weights(const ModelSpec& spec);

// Applies `matrix` and `vector` to the tensors of a block and returns the results as BlockWeights.
template <class Matrix, class Vector>
BlockWeights transform(const std::vector<BlockWeight>& weights, const BlockWeights& from, const Matrix& matrix,
                       const Vector& vector) {
  BlockWeights to;
  for (const BlockWeight& weight : weights)
    to.*weight.member = weight.is_matrix() ? matrix(from.*weight.member) : vector(from.*weight.member);
  return to;
}

}  // namespace terse::trainer
