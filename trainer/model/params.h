// The weights of a model, unit by unit, as leaf views that require gradients; the master weights and the gradients of
// what this rank owns.
//
// A process alone holds everything: one flat buffer of weights and one of gradients. Of several ranks each owns ranges
// (sharding.h). Weights are then gathered from their owners: open() a unit before it is used and close() it after;
// gathering starts as early as it can, so open() rarely waits. Gradients of a backward pass lie unit by unit in buffers
// that trainer/gradient_sum.h sends to the owners.
#pragma once

#include <torch/types.h>

#include <functional>
#include <string>
#include <vector>

#include "checkpoints/store.h"
#include "trainer/model/sharding.h"

namespace terse::trainer {

// Weights of one block.
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

// Follows a backward pass through the units, last unit first; see Transformer::hidden.
class PassObserver {
 public:
  virtual ~PassObserver() = default;
  virtual void unit_begins(size_t unit) = 0;  // its gradient will be added to from now on
  virtual void unit_ends(size_t unit) = 0;    // its gradient is complete, its weights are not needed any more
};

// kInference: weights only, which are 0 until they are set; no gradients.
enum class Purpose { kTraining, kInference };

class FlatParams {
 public:
  // Initialises from `seed` by counter-based normal numbers keyed by (parameter, element): the same on every device and
  // for any number of ranks.
  FlatParams(const ModelSpec& spec, torch::Device device, uint64_t seed, const Sharding& sharding = {},
             Purpose purpose = Purpose::kTraining);

  const ParamLayout& layout() const { return layout_; }
  const Sharding& sharding() const { return sharding_; }
  const Ownership& owned() const { return owned_; }
  int64_t size() const { return layout_.size; }
  // Whether gradients are sums in the order of kernels::Sequences, so that no split changes a bit: fp32 on the CPU.
  bool sums_as_tree() const { return !spec_.bf16 && master_.device().is_cpu(); }

  // What this rank owns, fp32, laid out as owned() says. After changing them call publish().
  torch::Tensor& master() { return master_; }
  const torch::Tensor& master() const { return master_; }
  void publish();
  // A process alone with bf16 weights: the copy that publish() refreshes, laid out like master(), for an update that
  // writes it in passing; else undefined.
  torch::Tensor working_copy() const;
  // Adds a tensor that is laid out like master() to a checkpoint as the parts of "<prefix><parameter>" that this rank
  // owns; takes it out again. Ranks that own the same leave it to the first of them.
  void save(checkpoints::StateDict& state, const std::string& prefix, const torch::Tensor& own) const;
  void restore(const checkpoints::StateDict& state, const std::string& prefix, torch::Tensor own) const;
  // What restore() needs of a tensor of a checkpoint: the owned part of a "<prefix><parameter>", all of others.
  checkpoints::Range wanted(const std::string& name, const std::vector<int64_t>& shape) const;

  // Units: 0 the embedding, 1..L the blocks, L + 1 the rest. The weights of an open unit may be read.
  void open(size_t unit);
  void close(size_t unit);
  // Opens and closes all units in the order of a forward pass: `block` gets each block's weights while its unit is
  // open, `ends` is called while the first and the last unit are. Every rank has to do so, or run the model, at once.
  void visit(const std::function<void(const BlockWeights&)>& block, const std::function<void()>& ends);
  // Whether a closed unit has no memory (ZeRO-3).
  bool gathers_on_demand() const { return sharding_.distributed() && sharding_.zero == 3; }
  size_t units() const { return layout_.units.size(); }
  const torch::Tensor& embedding() const { return embedding_; }             // [V, D], of unit 0
  const torch::Tensor& head() const { return head_; }                       // [V, D], unit 0 when tied, else L + 1
  const torch::Tensor& final_norm() const { return final_norm_; }           // [D], unit L + 1
  const BlockWeights& block(size_t layer) const { return blocks_[layer]; }  // unit layer + 1

  // The summed gradient of what this rank owns, fp32, laid out like master(); complete after finish_grad().
  torch::Tensor& grad() { return grad_; }
  void zero_grad();
  void finish_grad();

  // Gradients of one backward pass. There is one more unit of them than of weights where a tied head is summed apart
  // from the embedding, on the CPU: its rows are other sums, and only apart do they not depend on where a batch is
  // split. Its gradient is the first to be taken, too, and the embedding's the last.
  size_t grad_units() const { return layout_.units.size() + (separate_head_ ? 1 : 0); }
  const ParamUnit& weights_of(size_t grad_unit) const { return layout_.units[grad_unit % layout_.units.size()]; }
  // Where the pass adds gradients: fp32, or the working dtype on a GPU in bf16. begin_grad() makes it zero.
  torch::Tensor pass_grad(size_t grad_unit) const { return pass_grads_[grad_unit]; }
  void begin_grad(size_t grad_unit);
  void drop_grad(size_t grad_unit);  // gives its memory back, at ZeRO stages that keep no whole gradient
  // The part of grad() so far, or of what finish_grad() will add to it.
  torch::Tensor owned_grad(size_t grad_unit) const;
  // A process alone: adds what the last pass gave to grad(), where it did not go there directly (bf16 on a GPU).
  void collect_pass();
  // All pass_grad() end to end; undefined at ZeRO stages that keep no whole gradient.
  torch::Tensor& whole_grad() { return whole_grad_; }
  // Null: nobody. Must outlive the passes.
  void observe(PassObserver* observer) { observer_ = observer; }
  PassObserver* observer() const { return observer_; }

 private:
  struct Leaf {
    torch::Tensor weight;
    int64_t grad_offset;  // in its grad unit
  };
  struct Gather {
    Work weights, vectors;
    bool under_way = false;
  };
  void initialise(uint64_t seed);
  void make_views(size_t unit);
  torch::Tensor leaf(const std::string& first, std::vector<int64_t> shape, size_t grad_unit);
  void attach_grads(size_t grad_unit);
  // The kernels of the CPU want norms and biases in fp32 even where matrices are bf16. The embedding has none.
  bool has_vectors(size_t unit) const { return spec_.bf16 && master_.is_cpu() && unit > 0; }
  void start_gather(size_t unit);
  void finish_gather(size_t unit);

  ModelSpec spec_;
  ParamLayout layout_;
  Sharding sharding_;
  Ownership owned_;
  bool separate_head_;
  torch::Tensor master_;   // fp32 [owned]
  torch::Tensor working_;  // all weights in the model's dtype; undefined where units are gathered on demand
  std::vector<torch::Tensor> weights_;  // of each unit: views of working_, or gathered
  std::vector<torch::Tensor> vectors_;  // of each unit that has_vectors(): what does not decay, in fp32
  std::vector<Gather> gathers_;         // of each unit
  torch::Tensor whole_grad_;            // all pass_grads_ end to end, where they are kept
  std::vector<torch::Tensor> pass_grads_;
  torch::Tensor owned_grads_;  // fp32 [owned + owned of the separate head]
  torch::Tensor grad_;         // its first part
  torch::Tensor embedding_, head_, final_norm_;
  std::vector<BlockWeights> blocks_;
  std::vector<std::vector<Leaf>> leaves_;  // of each grad unit
  PassObserver* observer_ = nullptr;
};

}  // namespace terse::trainer
