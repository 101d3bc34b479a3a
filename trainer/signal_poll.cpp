// A single process reads an atomic number. Several ranks reduce a few bytes.
#include "trainer/signal_poll.h"

namespace terse::trainer {

Interrupt SignalPoll::take() {
  const Interrupt mine = interrupts_ != nullptr ? interrupts_->take() : Interrupt::kNone;
  if (world_.place().ranks == 1) return mine;
  torch::Tensor strongest = torch::full({1}, static_cast<int64_t>(mine), torch::kInt64).to(device_);
  world_.group(device_).all_reduce("interrupts", strongest, Reduce::kMax).wait();
  return static_cast<Interrupt>(strongest.item<int64_t>());
}

bool SignalPoll::meet(bool busy) {
  bool stop = stop_requested();
  if (world_.place().ranks > 1) {
    const std::vector<int64_t> mine = {stop ? 1 : 0, busy ? 1 : 0};
    torch::Tensor any = torch::tensor(mine, torch::kInt64).to(device_);
    world_.group(device_).all_reduce("stop requested, or busy", any, Reduce::kMax).wait();
    any = any.cpu();
    stop = any[0].item<int64_t>() != 0;
    busy = any[1].item<int64_t>() != 0;
  }
  if (stop) throw StopRequested();
  return busy;
}

void SignalPoll::during(const std::function<void(const std::function<void()>& look)>& work) {
  work([this] { meet(true); });
  while (meet(false)) {
  }
}

}  // namespace terse::trainer
