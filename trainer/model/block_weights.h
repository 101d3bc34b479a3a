// The weights of a block, declared once. The layout of the parameters, their views, the names in checkpoints, the
// decoders and the plan of memory all read this declaration. block.h says what a block computes with them.
#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "trainer/model/spec.h"

namespace terse::trainer {

// What LoRA adds to one projection, a part of a matrix: alpha / rank (x A^T) B^T (Hu et al. 2021, arXiv 2106.09685).
struct Adapter {
  torch::Tensor a;     // [rank, in]; undefined: this part of the matrix has no adapter
  torch::Tensor b;     // [rows, rank]
  int64_t rows = 0;    // of the part
  int64_t number = 0;  // of the projection in its block, in the order of the declaration
};

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
  // Of the parts of each matrix, from top to bottom; empty: none of them has an adapter.
  std::vector<Adapter> qkv_adapters, out_adapters, gate_up_adapters, down_adapters;
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
  std::vector<Adapter> BlockWeights::*adapters = nullptr;  // of a matrix

  bool is_matrix() const { return columns > 0; }
  int64_t rows() const;
  std::vector<int64_t> shape() const;
};

// The tensors that a block of this model has, matrices before vectors, in the order of the flat buffer.
std::vector<BlockWeight> block_weights(const ModelSpec& spec);

// The names of the two matrices of an adapter as PEFT stores them.
struct AdapterNames {
  std::string a, b;
};
AdapterNames adapter_names(int64_t layer, const BlockWeight::Part& part);
bool is_adapter_weight(const std::string& name);  // whether the name is one of these
// Whether this part of a block's matrices has an adapter: its projection is among the targets of LoRA.
bool has_adapter(const ModelSpec& spec, const BlockWeight::Part& part);

// The same weights without their adapters.
BlockWeights without_adapters(BlockWeights weights);

// Replaces the adapters of `to` by those of `from`, to whose matrices it applies `matrix`.
template <class Matrix>
void transform_adapters(const std::vector<BlockWeight>& weights, const BlockWeights& from, const Matrix& matrix,
                        BlockWeights& to) {
  for (const BlockWeight& weight : weights) {
    if (weight.adapters == nullptr) continue;
    to.*weight.adapters = from.*weight.adapters;
    for (Adapter& adapter : to.*weight.adapters) {
      if (!adapter.a.defined()) continue;
      adapter.a = matrix(adapter.a);
      adapter.b = matrix(adapter.b);
    }
  }
}

// Applies `matrix` and `vector` to the tensors of a block and returns the results as BlockWeights.
template <class Matrix, class Vector>
BlockWeights transform(const std::vector<BlockWeight>& weights, const BlockWeights& from, const Matrix& matrix,
                       const Vector& vector) {
  BlockWeights to;
  for (const BlockWeight& weight : weights)
    to.*weight.member = weight.is_matrix() ? matrix(from.*weight.member) : vector(from.*weight.member);
  transform_adapters(weights, from, matrix, to);
  return to;
}

}  // namespace terse::trainer
