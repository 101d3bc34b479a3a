// Allocates and initialises master weights, working weights and gradients, and saves and restores them.
#include "trainer/model/params.h"

#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>

#include "trainer/model/profile_scope.h"

namespace terse::trainer {

namespace {

// Calls part(p, first, last, at) for every parameter p of which this rank owns elements [first, last). `at` is the
// place of the first one in the rank's buffers.
template <class Part>
void for_owned(const ParamLayout& layout, const Ownership& owned, const Part& part) {
  size_t u = 0;
  for (size_t p = 0; p < layout.infos.size(); ++p) {
    const ParamInfo& info = layout.infos[p];
    while (info.offset >= layout.units[u].end) ++u;
    const int64_t unit = layout.units[u].begin;
    const ShardRange range = owned.parts[u].range;
    const int64_t begin = std::max(info.offset, unit + range.begin);
    const int64_t end = std::min(info.offset + info.numel(), unit + range.end);
    if (begin < end) part(p, begin - info.offset, end - info.offset, owned.parts[u].at + begin - unit - range.begin);
  }
}

}  // namespace

FlatParams::FlatParams(const ModelSpec& spec, torch::Device device, uint64_t seed, const Sharding& sharding,
                       Purpose purpose, std::shared_ptr<FrozenWeights> frozen)
    : spec_(spec),
      layout_(trained_layout(spec)),
      sharding_(sharding),
      owned_(layout_, sharding.distributed() ? sharding.shards->rank() : 0,
             sharding.distributed() ? sharding.shards->size() : 1),
      separate_head_(spec.tie_embeddings && device.is_cpu() && !spec.has_adapters()),
      frozen_(std::move(frozen)) {
  const bool rounds = spec.bf16, distributed = sharding_.distributed();
  const auto fp32 = torch::TensorOptions(torch::kFloat32).device(device);
  const auto working = fp32.dtype(rounds ? torch::kBFloat16 : torch::kFloat32);
  const bool sums_in_bf16 = rounds && !device.is_cpu();
  const bool trains = purpose == Purpose::kTraining;
  if (spec.has_adapters() && frozen_ == nullptr) {
    frozen_ = std::make_shared<FrozenWeights>(spec, device);
    if (trains) frozen_->initialise(seed);
  }
  master_ = torch::zeros({owned_.size}, torch::kFloat32);
  if (trains) initialise(seed);
  master_ = master_.to(device);
  if (!gathers_on_demand()) working_ = rounds || distributed ? torch::empty({size()}, working) : master_;

  const int64_t head = separate_head_ ? owned_.parts[0].range.count() : 0;
  owned_grads_ = torch::zeros({trains ? owned_.size + head : 0}, fp32);
  grad_ = owned_grads_.narrow(0, 0, trains ? owned_.size : 0);
  if (trains && !distributed && !sums_in_bf16) {
    whole_grad_ = owned_grads_;
  } else if (trains && (!distributed || sharding_.zero == 1)) {
    const int64_t total = size() + (separate_head_ ? layout_.units[0].size() : 0);
    whole_grad_ = torch::zeros({total}, sums_in_bf16 ? working : fp32);
  }
  weights_.resize(units());
  vectors_.resize(units());
  gathers_.resize(units());
  blocks_.resize(units() - 2);
  leaves_.resize(grad_units());
  pass_grads_.resize(grad_units());
  int64_t at = 0;
  for (size_t g = 0; g < grad_units(); at += weights_of(g++).size()) {
    if (whole_grad_.defined()) pass_grads_[g] = whole_grad_.narrow(0, at, weights_of(g).size());
  }
  for (size_t u = 0; u < units() && working_.defined(); ++u) {
    const ParamUnit& unit = layout_.units[u];
    // variable_data() gives the view its own version counter. So autograd does not mistake the gathering of one unit
    // for a change of the units in use.
    weights_[u] = working_.narrow(0, unit.begin, unit.size()).variable_data();
    if (has_vectors(u)) {
      vectors_[u] = distributed ? torch::empty({unit.end - unit.decayed_end}, fp32)
                                : master_.narrow(0, unit.decayed_end, unit.end - unit.decayed_end);
    }
    make_views(u);
  }
  publish();
}

void FlatParams::initialise(uint64_t seed) {
  float* out = master_.data_ptr<float>();
  for_owned(layout_, owned_, [&](size_t p, int64_t first, int64_t last, int64_t at) {
    for (int64_t i = first; i < last; ++i) out[at + i - first] = initial_value(layout_.infos[p], seed, p, i);
  });
}

void FlatParams::save(checkpoints::StateDict& state, const std::string& prefix, const torch::Tensor& own) const {
  if (sharding_.replicas != nullptr && sharding_.replicas->rank() > 0) return;
  for_owned(layout_, owned_, [&](size_t p, int64_t first, int64_t last, int64_t at) {
    const ParamInfo& info = layout_.infos[p];
    state.tensors.emplace(prefix + info.name,
                          checkpoints::Shard{own.narrow(0, at, last - first), info.shape, first, last});
  });
}

void FlatParams::restore(const checkpoints::StateDict& state, const std::string& prefix, torch::Tensor own) const {
  torch::NoGradGuard no_grad;
  require_tensors(state, prefix, layout_);
  for_owned(layout_, owned_, [&](size_t p, int64_t first, int64_t last, int64_t at) {
    own.narrow(0, at, last - first).copy_(state.range(prefix + layout_.infos[p].name, first, last));
  });
}

void FlatParams::fill(const ReadParameter& read) {
  torch::NoGradGuard no_grad;
  for_owned(layout_, owned_, [&](size_t p, int64_t first, int64_t last, int64_t at) {
    torch::Tensor part = master_.narrow(0, at, last - first);
    const torch::Tensor filled = part.is_cpu() ? part : torch::empty({last - first}, torch::kFloat32);
    read(layout_.infos[p], first, last, filled.data_ptr<float>());
    if (!part.is_cpu()) part.copy_(filled);
  });
}

checkpoints::Range FlatParams::wanted(const std::string& name, const std::vector<int64_t>& shape) const {
  const std::string param = name.substr(name.rfind('/') + 1);  // npos + 1 is 0
  checkpoints::Range range;
  bool is_param = false;
  for (const ParamInfo& info : layout_.infos) is_param = is_param || (info.name == param && info.shape == shape);
  if (!is_param) return {0, std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>())};
  for_owned(layout_, owned_, [&](size_t p, int64_t first, int64_t last, int64_t) {
    if (layout_.infos[p].name == param) range = {first, last};
  });
  return range;
}

void FlatParams::publish() {
  if (!sharding_.distributed()) {
    if (!working_.is_same(master_)) working_.copy_(master_);
    return;
  }
  for (size_t u = 0; u < units(); ++u) {
    if (gathers_on_demand()) {
      close(u);
    } else {
      start_gather(u);
    }
  }
}

torch::Tensor FlatParams::working_copy() const {
  return spec_.bf16 && !sharding_.distributed() ? working_ : torch::Tensor();
}

void FlatParams::zero_grad() {
  const ProfileScope scope("zero gradients");
  owned_grads_.zero_();
}

torch::Tensor FlatParams::owned_grad(size_t grad_unit) const {
  const bool head = grad_unit == units();
  const Ownership::Part& part = owned_.parts[head ? 0 : grad_unit];
  return owned_grads_.narrow(0, head ? owned_.size : part.at, part.range.count());
}

void FlatParams::finish_grad() {
  if (!separate_head_) return;
  torch::Tensor head = owned_grad(units());
  owned_grad(0).add_(head);
  head.zero_();
}

void FlatParams::collect_pass() {
  if (whole_grad_.is_same(owned_grads_)) return;
  owned_grads_.add_(whole_grad_);
  whole_grad_.zero_();
}

void FlatParams::begin_grad(size_t grad_unit) {
  if (whole_grad_.defined()) {
    pass_grads_[grad_unit].zero_();
    return;
  }
  const bool sums_in_bf16 = spec_.bf16 && !master_.is_cpu();
  pass_grads_[grad_unit] = torch::zeros({weights_of(grad_unit).size()},
                                        master_.options().dtype(sums_in_bf16 ? torch::kBFloat16 : torch::kFloat32));
  attach_grads(grad_unit);
}

void FlatParams::drop_grad(size_t grad_unit) {
  if (whole_grad_.defined()) return;
  pass_grads_[grad_unit] = torch::Tensor();
  attach_grads(grad_unit);
}

}  // namespace terse::trainer
