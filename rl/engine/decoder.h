// The model side of generation: runs tokens of many sequences against their KV caches. The engine decides which
// sequences run.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "rl/engine/kv_pages.h"
#include "trainer/model/transformer.h"

namespace terse::rl {

// R new tokens to run, one per row. The rows of one sequence must be in order of position. A row attends to all tokens
// of its sequence up to its own position, including rows of the same call.
struct DecodeRows {
  std::vector<const PageTable*> pages;  // [R] pages of the row's sequence, up to the row's position at least
  std::vector<int64_t> tokens;          // [R]
  std::vector<int64_t> positions;       // [R]
  std::vector<int64_t> wanted;          // indices of the rows whose logits the caller needs

  void add(const PageTable& sequence, int64_t token, int64_t position) {
    pages.push_back(&sequence);
    tokens.push_back(token);
    positions.push_back(position);
  }
  void want_last() { wanted.push_back(static_cast<int64_t>(tokens.size()) - 1); }
};

// Not thread-safe; several decoders may live in one process.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // Reads the model's current weights; must be called after every change of them. Shares or repacks the weights,
  // detached from the autograd graph.
  virtual void refresh() = 0;
  // Writes the keys and values of all rows; returns the logits of the wanted ones: [wanted, V] fp32 on the CPU. Throws
  // std::invalid_argument when a position lies beyond the model's longest sequence or the pages of its sequence.
  torch::Tensor forward(const DecodeRows& rows);
  // Copies the keys and values of one page to another.
  virtual void copy_page(int32_t from, int32_t to) = 0;

 protected:
  explicit Decoder(trainer::Transformer& model) : model_(model) {}
  virtual torch::Tensor run(const DecodeRows& rows) = 0;  // all positions in `rows` have been checked

  trainer::Transformer& model_;
};

// The decoder for the model's device and dtype, with a cache of `pages` pages: row-invariant kernels for fp32 on the
// CPU (the same bits as the learner's forward pass), LibTorch operations elsewhere. The model must outlive it.
std::unique_ptr<Decoder> make_decoder(trainer::Transformer& model, int64_t pages);

// The two implementations by name, for tests that compare them.
std::unique_ptr<Decoder> make_kernel_decoder(trainer::Transformer& model, int64_t pages);
std::unique_ptr<Decoder> make_aten_decoder(trainer::Transformer& model, int64_t pages);

// Whether the cache holds bf16 numbers: where the model rounds keys and values, and on a GPU where bf16 weights make
// them bf16.
bool holds_bf16(const trainer::ModelSpec& spec, bool cuda);
// Bytes of keys and values of one page, in all layers.
int64_t page_bytes(const trainer::ModelSpec& spec, bool cuda);

}  // namespace terse::rl
