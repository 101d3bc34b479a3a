// The part of FlatParams that gathers weights from their owners and cuts them into named views.
#include <algorithm>

#include "trainer/model/params.h"

namespace terse::trainer {

torch::Tensor FlatParams::leaf(const std::string& first, std::vector<int64_t> shape, size_t grad_unit) {
  const size_t u = grad_unit % units();
  const ParamUnit& unit = layout_.units[u];
  const int64_t offset = layout_.offset_of(first);
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  const bool vector = shape.size() == 1 && vectors_[u].defined();
  torch::Tensor view =
      vector ? vectors_[u].narrow(0, offset - unit.decayed_end, n) : weights_[u].narrow(0, offset - unit.begin, n);
  view = view.view(shape).detach();
  view.requires_grad_(true);
  leaves_[grad_unit].push_back({view, offset - unit.begin});
  return view;
}

void FlatParams::attach_grads(size_t grad_unit) {
  const torch::Tensor& grad = pass_grads_[grad_unit];
  for (Leaf& leaf : leaves_[grad_unit]) {
    leaf.weight.mutable_grad() = grad.defined()
                                     ? grad.narrow(0, leaf.grad_offset, leaf.weight.numel()).view(leaf.weight.sizes())
                                     : torch::Tensor();
  }
}

// The weights of a block whose weights are all trained, or the frozen weights with their adapters.
BlockWeights FlatParams::block_views(size_t u) {
  const auto layer = static_cast<int64_t>(u) - 1;
  const std::string block = "model.layers." + std::to_string(layer) + ".";
  BlockWeights w = frozen_ != nullptr ? frozen_->block(u - 1) : BlockWeights{};
  int64_t number = 0;
  for (const BlockWeight& weight : block_weights(spec_)) {
    if (frozen_ == nullptr) {
      w.*weight.member = leaf(block + weight.parts.front().name, weight.shape(), u);
    } else if (weight.adapters != nullptr) {
      w.*weight.adapters = adapter_views(weight, u, number);
    }
  }
  return w;
}

std::vector<Adapter> FlatParams::adapter_views(const BlockWeight& weight, size_t u, int64_t& number) {
  std::vector<Adapter> adapters;
  bool any = false;
  for (const BlockWeight::Part& part : weight.parts) {
    Adapter adapter{.a = {}, .b = {}, .rows = part.rows, .number = number++};
    if (has_adapter(spec_, part)) {
      const AdapterNames names = adapter_names(static_cast<int64_t>(u) - 1, part);
      adapter.a = leaf(names.a, {spec_.lora.rank, weight.columns}, u);
      adapter.b = leaf(names.b, {part.rows, spec_.lora.rank}, u);
      any = true;
    }
    adapters.push_back(std::move(adapter));
  }
  return any ? adapters : std::vector<Adapter>{};
}

void FlatParams::make_views(size_t u) {
  leaves_[u].clear();
  if (u > 0 && u + 1 < units()) {
    blocks_[u - 1] = block_views(u);
  } else if (frozen_ != nullptr) {
    embedding_ = frozen_->embedding();
    head_ = frozen_->head();
    final_norm_ = frozen_->final_norm();
  } else if (u == 0) {
    embedding_ = leaf("model.embed_tokens.weight", {spec_.vocab, spec_.hidden_size}, 0);
    if (separate_head_) {
      leaves_[units()].clear();
      head_ = leaf("model.embed_tokens.weight", {spec_.vocab, spec_.hidden_size}, units());
      attach_grads(units());
    } else if (spec_.tie_embeddings) {
      head_ = embedding_;
    }
  } else {
    if (!spec_.tie_embeddings) head_ = leaf("lm_head.weight", {spec_.vocab, spec_.hidden_size}, u);
    final_norm_ = leaf("model.norm.weight", {spec_.hidden_size}, u);
  }
  attach_grads(u);
}

void FlatParams::start_gather(size_t u) {
  const ParamUnit& unit = layout_.units[u];
  if (unit.size() == 0) {
    weights_[u] = torch::empty({0}, master_.options());
    return;
  }
  Gather& gather = gathers_[u];
  if (gather.under_way) finish_gather(u);
  const auto options = master_.options();
  const torch::Tensor own = master_.narrow(0, owned_.parts[u].at, owned_.parts[u].range.count());
  if (!weights_[u].defined()) {
    weights_[u] = torch::empty({unit.size()}, options.dtype(spec_.bf16 ? torch::kBFloat16 : torch::kFloat32));
    if (has_vectors(u)) vectors_[u] = torch::empty({unit.end - unit.decayed_end}, options);
  }
  const int64_t ranks = sharding_.shards->size();
  std::vector<int64_t> counts = shard_counts(unit, ranks);
  gather.weights =
      sharding_.shards->all_gather("weights of " + unit.name, own.to(weights_[u].scalar_type()), weights_[u], counts);
  if (has_vectors(u)) {
    const int64_t vectors = unit.decayed_end - unit.begin;
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const ShardRange range = shard_of(unit, rank, ranks);
      counts[static_cast<size_t>(rank)] = range.end - std::clamp(vectors, range.begin, range.end);
    }
    const int64_t mine = counts[static_cast<size_t>(sharding_.shards->rank())];
    gather.vectors = sharding_.shards->all_gather("vectors of " + unit.name, own.narrow(0, own.numel() - mine, mine),
                                                  vectors_[u], counts);
  }
  gather.under_way = true;
}

void FlatParams::finish_gather(size_t u) {
  Gather& gather = gathers_[u];
  gather.weights.wait();
  gather.vectors.wait();
  gather = Gather();
}

void FlatParams::open(size_t u) {
  if (!sharding_.distributed()) return;
  const bool makes_views = gathers_on_demand() && (!weights_[u].defined() || gathers_[u].under_way);
  if (makes_views) {
    if (!gathers_[u].under_way) start_gather(u);
    // The next unit is the one above in a forward pass and the one below in a backward pass. At ZeRO-3 the blocks run
    // with gradients only in the backward pass, where they are recomputed.
    const size_t next = torch::GradMode::is_enabled() ? u - 1 : u + 1;
    const bool is_block = u > 0 && u + 1 < units() && next > 0 && next + 1 < units();
    if (is_block && !weights_[next].defined()) start_gather(next);
  }
  finish_gather(u);
  if (makes_views) make_views(u);
}

void FlatParams::close(size_t u) {
  if (!gathers_on_demand() || !weights_[u].defined()) return;
  finish_gather(u);
  weights_[u] = vectors_[u] = torch::Tensor();
  leaves_[u].clear();
  if (u == 0) {
    embedding_ = torch::Tensor();
    if (spec_.tie_embeddings) head_ = torch::Tensor();
    if (separate_head_) leaves_[units()].clear();
  } else if (u + 1 == units()) {
    final_norm_ = torch::Tensor();
    if (!spec_.tie_embeddings) head_ = torch::Tensor();
  } else {
    blocks_[u - 1] = {};
  }
}

void FlatParams::visit(const std::function<void(const BlockWeights&)>& block, const std::function<void()>& ends) {
  torch::NoGradGuard forward;
  const size_t last = units() - 1;
  open(0);
  open(last);
  for (size_t unit = 1; unit < last; ++unit) {
    open(unit);
    block(this->block(unit - 1));
    close(unit);
  }
  ends();
  close(0);
  close(last);
}

}  // namespace terse::trainer
