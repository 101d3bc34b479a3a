// The one place that looks for requests to save or to stop. Every loop that may go on for more than a second asks it:
// steps, evaluations, generation, exams, the reading of text.
#pragma once

#include <functional>
#include <stdexcept>

#include "trainer/dist/world.h"
#include "trainer/interrupts.h"

namespace terse::trainer {

// A stop was asked for in the middle of something. Whoever has a state to save catches it (Session::stop).
class StopRequested : public std::runtime_error {
 public:
  StopRequested() : runtime_error("a stop was asked for") {}
};

// A signal may reach the ranks of a world at different moments, or only some of them. All follow the strongest request.
class SignalPoll {
 public:
  // `interrupts` may be null: nothing is ever asked for. Both must outlive the poll.
  SignalPoll(Interrupts* interrupts, World& world, torch::Device device)
      : interrupts_(interrupts), world_(world), device_(device) {}

  // These are collective over the world: every rank calls them as often as the others.
  //
  // The strongest request of all ranks, which is then forgotten.
  Interrupt take();
  // Whether any rank is `busy`. Throws StopRequested, on all ranks, when a stop was asked for on one.
  bool meet(bool busy);
  // Runs `work` with a function that it calls now and then, however often; other ranks may call it less or not at all.
  // Returns when it has ended on all ranks. Throws StopRequested, on all ranks, when a stop was asked for.
  void during(const std::function<void(const std::function<void()>& look)>& work);

  // Whether a stop was asked for on this rank. Not collective.
  bool stop_requested() const { return interrupts_ != nullptr && interrupts_->stop_requested(); }

 private:
  Interrupts* interrupts_;
  World& world_;
  torch::Device device_;
};

}  // namespace terse::trainer
