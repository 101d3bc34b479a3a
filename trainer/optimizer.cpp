// Updates the flat buffer range by range, because some ranges decay and others do not. Our kernels update a range in
// one pass. On a GPU without our kernels, LibTorch's fused update does.
#include "trainer/optimizer.h"

#include <ATen/ops/_fused_adamw.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "trainer/kernels/kernels.h"
#include "trainer/model/ops/ops_fused.h"
#include "trainer/model/profile_scope.h"

namespace terse::trainer {

double learning_rate(const configs::Optimizer& config, int64_t step, int64_t steps) {
  if (step < config.warmup_steps) {
    return config.lr * static_cast<double>(step + 1) / static_cast<double>(config.warmup_steps);
  }
  if (config.schedule == "constant") return config.lr;
  const double span = static_cast<double>(std::max<int64_t>(1, steps - config.warmup_steps));
  const double progress = std::clamp(static_cast<double>(step - config.warmup_steps) / span, 0.0, 1.0);
  const double low = config.min_lr_ratio;
  if (config.schedule == "linear") return config.lr * (1 - (1 - low) * progress);
  if (config.schedule == "cosine") return config.lr * (low + (1 - low) * 0.5 * (1 + std::cos(M_PI * progress)));
  const double tail = std::max(config.decay_fraction, 1e-9);  // wsd
  return config.lr * (progress <= 1 - tail ? 1.0 : 1 - (1 - low) * (progress - (1 - tail)) / tail);
}

AdamW::AdamW(FlatParams& params, const configs::Optimizer& config)
    : AdamW(params, config, params.master().is_cuda() ? kernels::cuda::table() : nullptr) {}

AdamW::AdamW(FlatParams& params, const configs::Optimizer& config, const kernels::cuda::Table* kernels)
    : params_(params),
      config_(config),
      kernels_(kernels),
      m_(torch::zeros_like(params.master())),
      v_(torch::zeros_like(params.master())) {}

double AdamW::grad_norm() const {
  const ProfileScope scope("gradient norm");
  const torch::Tensor& grad = params_.grad();
  const Sharding& sharding = params_.sharding();
  if (!grad.is_cpu()) {
    torch::Tensor squares = grad.norm(2, {0}, false, torch::kFloat64).square();
    if (sharding.distributed()) sharding.shards->all_reduce("gradient norm", squares, Reduce::kSum).wait();
    return std::sqrt(squares.item<double>());
  }
  const int64_t ranks = sharding.distributed() ? sharding.shards->size() : 1;
  const auto blocks = [](int64_t count) { return (count + kernels::kSquareBlock - 1) / kernels::kSquareBlock; };
  // `all` holds the sums of blocks, owner by owner. They are then added in the order of the blocks, so the norm does
  // not depend on the number of ranks.
  std::vector<int64_t> counts, cursor;
  int64_t total = 0;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    cursor.push_back(total);
    counts.push_back(0);
    for (const ParamUnit& unit : params_.layout().units) counts.back() += blocks(shard_of(unit, rank, ranks).count());
    total += counts.back();
  }
  const size_t self = sharding.distributed() ? static_cast<size_t>(sharding.shards->rank()) : 0;
  torch::Tensor all = torch::empty({total}, torch::kFloat32);
  float* mine = all.data_ptr<float>() + cursor[self];
  for (const Ownership::Part& part : params_.owned().parts) {
    kernels::cpu().square_sums(grad.data_ptr<float>() + part.at, mine, part.range.count());
    mine += blocks(part.range.count());
  }
  if (ranks > 1)
    sharding.shards->all_gather("gradient norm", all.narrow(0, cursor[self], counts[self]), all, counts).wait();
  double squares = 0;
  for (const ParamUnit& unit : params_.layout().units) {
    for (int64_t rank = 0; rank < ranks; ++rank) {
      const float* sum = all.data_ptr<float>() + cursor[static_cast<size_t>(rank)];
      const int64_t count = blocks(shard_of(unit, rank, ranks).count());
      squares = std::accumulate(sum, sum + count, squares);
      cursor[static_cast<size_t>(rank)] += count;
    }
  }
  return std::sqrt(squares);
}

std::vector<AdamW::Range> AdamW::ranges() const {
  std::vector<Range> result;
  for (size_t u = 0; u < params_.units(); ++u) {
    const ParamUnit& unit = params_.layout().units[u];
    const Ownership::Part& part = params_.owned().parts[u];
    const int64_t decayed =
        std::clamp(unit.decayed_end - unit.begin - part.range.begin, int64_t{0}, part.range.count());
    result.push_back({part.at, decayed, config_.weight_decay});
    result.push_back({part.at + decayed, part.range.count() - decayed, 0});
  }
  std::erase_if(result, [](const Range& range) { return range.count == 0; });
  return result;
}

AdamW::Update AdamW::step(double lr) {
  const ProfileScope scope("optimizer");
  torch::NoGradGuard no_grad;
  Update update;
  params_.finish_grad();
  update.grad_norm = grad_norm();
  if (!std::isfinite(update.grad_norm)) {
    update.applied = false;
    return update;
  }
  const bool clips = config_.clip_grad_norm > 0 && update.grad_norm > config_.clip_grad_norm;
  const double clip = clips ? config_.clip_grad_norm / update.grad_norm : 1.0;
  ++updates_;
  if (kernels_ != nullptr) {
    update_by_kernel(clip, lr);
  } else if (params_.master().is_cpu()) {
    update_on_cpu(clip, lr);
  } else {
    update_by_libtorch(clip, lr);
  }
  return update;
}

void AdamW::update_on_cpu(double clip, double lr) {
  const ProfileScope scope("AdamW");
  const double updates = static_cast<double>(updates_);
  for (const Range& range : ranges()) {
    kernels::cpu().adamw({.weight = params_.master().data_ptr<float>() + range.begin,
                          .grad = params_.grad().data_ptr<float>() + range.begin,
                          .m = m_.data_ptr<float>() + range.begin,
                          .v = v_.data_ptr<float>() + range.begin,
                          .count = range.count,
                          .clip = clip,
                          .lr = lr,
                          .beta1 = config_.beta1,
                          .beta2 = config_.beta2,
                          .eps = config_.eps,
                          .weight_decay = range.weight_decay,
                          .correction1 = 1 - std::pow(config_.beta1, updates),
                          .correction2 = 1 - std::pow(config_.beta2, updates)});
  }
  params_.publish();
}

void AdamW::update_by_kernel(double clip, double lr) {
  const ProfileScope scope("AdamW");
  torch::Tensor& master = params_.master();
  const torch::Tensor working = params_.working_copy();
  const double updates = static_cast<double>(updates_);
  for (const Range& range : ranges()) {
    const kernels::cuda::AdamW args{
        .master = master.data_ptr<float>() + range.begin,
        .grad = params_.grad().data_ptr<float>() + range.begin,
        .m = m_.data_ptr<float>() + range.begin,
        .v = v_.data_ptr<float>() + range.begin,
        .working = working.defined() ? working.narrow(0, range.begin, 1).data_ptr() : nullptr,
        .count = range.count,
        .decayed = range.weight_decay > 0 ? range.count : 0,
        .clip = clip,
        .lr = lr,
        .beta1 = config_.beta1,
        .beta2 = config_.beta2,
        .eps = config_.eps,
        .weight_decay = config_.weight_decay,
        .correction1 = 1 - std::pow(config_.beta1, updates),
        .correction2 = 1 - std::pow(config_.beta2, updates)};
    kernels::cuda::require(kernels_->adamw(args, ops::current_stream(master.device())), "adamw", {args.count});
  }
  if (!working.defined()) params_.publish();
}

void AdamW::update_by_libtorch(double clip, double lr) {
  const ProfileScope scope("AdamW");
  torch::Tensor& grad = params_.grad();
  if (clip != 1.0) grad.mul_(clip);
  const std::vector<torch::Tensor> count = {torch::full({}, static_cast<double>(updates_), grad.options())};
  for (const Range& range : ranges()) {
    const auto part = [&](const torch::Tensor& t) {
      return std::vector<torch::Tensor>{t.narrow(0, range.begin, range.count)};
    };
    at::_fused_adamw_(part(params_.master()), part(grad), part(m_), part(v_), {}, count, lr, config_.beta1,
                      config_.beta2, range.weight_decay, config_.eps, false, false);
  }
  params_.publish();
}

void AdamW::reset() {
  m_.zero_();
  v_.zero_();
  updates_ = 0;
}

void AdamW::save(checkpoints::StateDict& state, const std::string& prefix) const {
  params_.save(state, prefix + ".m/", m_);
  params_.save(state, prefix + ".v/", v_);
  if (params_.sharding().rank() == 0) state.add(prefix + ".updates", torch::full({}, updates_, torch::kInt64));
}

void AdamW::restore(const checkpoints::StateDict& state, const std::string& prefix) {
  params_.restore(state, prefix + ".m/", m_);
  params_.restore(state, prefix + ".v/", v_);
  updates_ = state.whole(prefix + ".updates").item<int64_t>();
}

}  // namespace terse::trainer
