// The one place that polls for requests to save or to stop. Every loop that may run for more than a second polls here:
// steps, evaluations, generation, promotion gates, the reading of text.
#pragma once

#include <functional>
#include <stdexcept>

#include "trainer/interrupts.h"
#include "trainer/parallel/world.h"

namespace terse::trainer {

// Thrown when a stop was requested in the middle of some work. The code that has state to save catches it
// (Session::stop).
class StopRequested : public std::runtime_error {
 public:
  StopRequested() : runtime_error("a stop was requested") {}
};

// A signal may reach the ranks of a world at different times, or reach only some of them. All ranks follow the
// strongest request.
class SignalPoll {
 public:
  // `interrupts` may be null; then there is never a request. `interrupts` and `world` must outlive the poll.
  SignalPoll(Interrupts* interrupts, World& world, torch::Device device)
      : interrupts_(interrupts), world_(world), device_(device) {}

  // take(), meet() and during() are collective over the world: every rank calls them equally often.
  //
  // Returns the strongest request of all ranks and clears it.
  Interrupt take();
  // Returns whether any rank is `busy`. Throws StopRequested on all ranks when a stop was requested on one.
  bool meet(bool busy);
  // Runs `work`, which polls by calling `look` from time to time. Ranks may call `look` different numbers of times, or
  // never. Returns when `work` has finished on all ranks. Throws StopRequested on all ranks when a stop was requested
  // on one.
  void during(const std::function<void(const std::function<void()>& look)>& work);

  // Whether a stop was requested on this rank. Not collective.
  bool stop_requested() const { return interrupts_ != nullptr && interrupts_->stop_requested(); }

 private:
  Interrupts* interrupts_;
  World& world_;
  torch::Device device_;
};

}  // namespace terse::trainer
