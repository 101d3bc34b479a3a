// Holds the weights of a model, unit by unit, as leaf views that require gradients. Also holds the master weights and
// the gradients that this rank owns.
//
// A single process holds everything: one flat buffer of weights and one of gradients. With several ranks, each rank
// owns ranges (sharding.h), and weights are gathered from their owners. Call open() before a unit is used and close()
// after it. Gathering starts as early as possible, so open() rarely waits. A backward pass writes gradients into one
// buffer per unit, which trainer/gradient_sum.h sends to the owners.
//
// With LoRA, all of this is about the adapters, and the weights of the model itself are frozen(). The units keep their
// numbers, and those of the embedding and of the end are empty.
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoints/store.h"
#include "trainer/model/block_weights.h"
#include "trainer/model/frozen_weights.h"
#include "trainer/model/sharding.h"

namespace terse::trainer {

// An observer that is notified as a backward pass moves through the units, last unit first; see Transformer::hidden().
class PassObserver {
 public:
  virtual ~PassObserver() = default;
  virtual void unit_begins(size_t unit) = 0;  // the pass adds to its gradient from now on
  virtual void unit_ends(size_t unit) = 0;    // its gradient is complete and its weights are no longer needed
};

// kInference: weights only, which are 0 until they are set; no gradients.
enum class Purpose { kTraining, kInference };

class FlatParams {
 public:
  // Initialises the weights from `seed` with counter-based normal random numbers, keyed by (parameter, element). So
  // they are the same on every device and for any number of ranks. A model with adapters shares `frozen`, or has
  // frozen weights of its own when it is null.
  FlatParams(const ModelSpec& spec, torch::Device device, uint64_t seed, const Sharding& sharding = {},
             Purpose purpose = Purpose::kTraining, std::shared_ptr<FrozenWeights> frozen = nullptr);

  const ParamLayout& layout() const { return layout_; }
  const Sharding& sharding() const { return sharding_; }
  const Ownership& owned() const { return owned_; }
  // The weights beside the adapters of LoRA; null when all weights are trained.
  const std::shared_ptr<FrozenWeights>& frozen() const { return frozen_; }
  int64_t size() const { return layout_.size; }
  // Whether gradients are summed in the order of kernels::Sequences, so that splitting a batch changes no bit. True on
  // the CPU.
  bool sums_as_tree() const { return master_.device().is_cpu(); }

  // The master weights that this rank owns, fp32, laid out like owned(). Call publish() after changing them.
  torch::Tensor& master() { return master_; }
  const torch::Tensor& master() const { return master_; }
  void publish();
  // The bf16 weights of a single process, which publish() refreshes; laid out like master(). An update may write them
  // itself instead of calling publish(). Undefined for fp32 or several ranks.
  torch::Tensor working_copy() const;
  // save() adds `own`, a tensor that is laid out like master(), to a checkpoint: the parts of "<prefix><parameter>"
  // that this rank owns. When several ranks own the same parts, only the first adds them. restore() reads them back.
  // Throws std::invalid_argument when a parameter is missing or has another shape.
  void save(checkpoints::StateDict& state, const std::string& prefix, const torch::Tensor& own) const;
  void restore(const checkpoints::StateDict& state, const std::string& prefix, torch::Tensor own) const;
  // Fills the master weights that this rank owns, parameter by parameter. So weights that lie in files are never in
  // memory twice. Call publish() afterwards.
  void fill(const ReadParameter& read);
  // Returns the range of a checkpoint's tensor that this rank reads: the owned part of a "<prefix><parameter>", and all
  // of any other tensor.
  checkpoints::Range wanted(const std::string& name, const std::vector<int64_t>& shape) const;

  // Units: 0 the embedding, 1..L the blocks, L + 1 the rest. The weights of an open unit may be read.
  void open(size_t unit);
  void close(size_t unit);
  // Opens and closes all units in the order of a forward pass. Calls `block` with each block's weights while its unit
  // is open, then `ends` while the first and the last unit are open. Collective: every other rank must do the same, or
  // run the model, at the same time.
  void visit(const std::function<void(const BlockWeights&)>& block, const std::function<void()>& ends);
  // Whether a closed unit uses no memory (ZeRO-3).
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

  // Gradients of one backward pass. On the CPU a tied head has a grad unit of its own, so there is one more grad unit
  // than there are units of weights. Head and embedding add different sums to the same rows; only separate sums do not
  // depend on where a batch is split. A pass also completes the head's gradient first and the embedding's last.
  size_t grad_units() const { return layout_.units.size() + (separate_head_ ? 1 : 0); }
  const ParamUnit& weights_of(size_t grad_unit) const { return layout_.units[grad_unit % layout_.units.size()]; }
  // The buffer to which the pass adds gradients: fp32, or bf16 for a bf16 model on a GPU. begin_grad() sets it to 0.
  torch::Tensor pass_grad(size_t grad_unit) const { return pass_grads_[grad_unit]; }
  void begin_grad(size_t grad_unit);
  void drop_grad(size_t grad_unit);  // frees its memory at ZeRO stages that keep no whole gradient
  // The part of grad() for this grad unit. For the separate head it is the part that finish_grad() adds to grad().
  torch::Tensor owned_grad(size_t grad_unit) const;
  // For a single process: adds the gradient of the last pass to grad(). Does nothing where the pass adds to grad()
  // itself, which is everywhere except for bf16 on a GPU.
  void collect_pass();
  // All pass_grad() buffers, end to end; undefined at ZeRO stages that keep no whole gradient.
  torch::Tensor& whole_grad() { return whole_grad_; }
  // Sets the observer of the backward passes, which must outlive them; null: none.
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
  BlockWeights block_views(size_t unit);
  std::vector<Adapter> adapter_views(const BlockWeight& weight, size_t unit, int64_t& number);
  torch::Tensor leaf(const std::string& first, std::vector<int64_t> shape, size_t grad_unit);
  void attach_grads(size_t grad_unit);
  // The CPU kernels need norms and biases in fp32 even when matrices are bf16. The embedding unit has neither, nor have
  // adapters.
  bool has_vectors(size_t unit) const { return spec_.bf16 && master_.is_cpu() && unit > 0 && frozen_ == nullptr; }
  void start_gather(size_t unit);
  void finish_gather(size_t unit);

  ModelSpec spec_;
  ParamLayout layout_;
  Sharding sharding_;
  Ownership owned_;
  bool separate_head_;
  std::shared_ptr<FrozenWeights> frozen_;
  torch::Tensor master_;   // fp32 [owned]
  torch::Tensor working_;  // all weights in the model's dtype; undefined where units are gathered on demand
  std::vector<torch::Tensor> weights_;  // of each unit: views of working_, or gathered
  std::vector<torch::Tensor> vectors_;  // of each unit that has_vectors(): tensors without decay, in fp32
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
