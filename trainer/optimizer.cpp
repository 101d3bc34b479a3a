// AdamW over a flat buffer whose first weights decay and whose rest does not: on a GPU in one pass of our kernel,
// elsewhere by LibTorch's fused update of the two ranges.
#include "trainer/optimizer.h"

#include <ATen/ops/_fused_adamw.h>

#include <algorithm>
#include <cmath>

#include "trainer/model/ops_fused.h"

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
      v_(torch::zeros_like(params.master())),
      count_(torch::zeros({}, params.master().options())) {}

AdamW::Update AdamW::step(double lr) {
  torch::NoGradGuard no_grad;
  Update update;
  update.grad_norm = params_.grad().norm().item<double>();
  if (!std::isfinite(update.grad_norm)) {
    update.applied = false;
    return update;
  }
  const bool clips = config_.clip_grad_norm > 0 && update.grad_norm > config_.clip_grad_norm;
  const double clip = clips ? config_.clip_grad_norm / update.grad_norm : 1.0;
  count_.add_(1);
  if (kernels_ != nullptr) {
    update_by_kernel(clip, lr);
  } else {
    update_by_libtorch(clip, lr);
  }
  return update;
}

void AdamW::update_by_kernel(double clip, double lr) {
  torch::Tensor &master = params_.master(), &working = params_.working();
  const double updates = count_.item<double>();
  const kernels::cuda::AdamW args{.master = master.data_ptr<float>(),
                                  .grad = params_.grad().data_ptr<float>(),
                                  .m = m_.data_ptr<float>(),
                                  .v = v_.data_ptr<float>(),
                                  .working = working.is_same(master) ? nullptr : working.data_ptr(),
                                  .count = params_.size(),
                                  .decayed = params_.decayed(),
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

void AdamW::update_by_libtorch(double clip, double lr) {
  torch::Tensor& grad = params_.grad();
  if (clip != 1.0) grad.mul_(clip);
  const int64_t split = params_.decayed(), total = params_.size();
  const int64_t bounds[3] = {0, split, total};
  for (int part = 0; part < 2; ++part) {
    const int64_t begin = bounds[part], length = bounds[part + 1] - begin;
    if (length == 0) continue;
    auto range = [&](const torch::Tensor& t) { return std::vector<torch::Tensor>{t.narrow(0, begin, length)}; };
    at::_fused_adamw_(range(params_.master()), range(grad), range(m_), range(v_), {},
                      std::vector<torch::Tensor>{count_}, lr, config_.beta1, config_.beta2,
                      part == 0 ? config_.weight_decay : 0.0, config_.eps, false, false);
  }
  params_.publish();
}

void AdamW::reset() {
  m_.zero_();
  v_.zero_();
  count_.zero_();
}

void AdamW::save(checkpoints::StateDict& state, const std::string& prefix) const {
  state.add(prefix + ".m", m_);
  state.add(prefix + ".v", v_);
  state.add(prefix + ".count", count_);
}

void AdamW::restore(const checkpoints::StateDict& state, const std::string& prefix) {
  torch::NoGradGuard no_grad;
  m_.copy_(state.whole(prefix + ".m"));
  v_.copy_(state.whole(prefix + ".v"));
  count_.copy_(state.whole(prefix + ".count"));
}

}  // namespace terse::trainer
