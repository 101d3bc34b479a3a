// Runs a whole run in this process and requests a stop when the run enters a given phase.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "launch/run/stages/run_stages.h"

namespace terse::support {

// A world of one rank that requests a stop when one of these phases begins.
class StoppingWorld final : public trainer::World {
 public:
  StoppingWorld(std::set<std::string> phases, trainer::Interrupts& interrupts)
      : phases_(std::move(phases)), interrupts_(interrupts) {}
  const trainer::Place& place() const override { return real_->place(); }
  trainer::Collectives& group(torch::Device device) override { return real_->group(device); }
  std::vector<std::string> gather(std::string_view name, const std::string& mine) override {
    return real_->gather(name, mine);
  }
  trainer::MessageChannel& messages() override { return real_->messages(); }
  void enter(std::string_view phase) override {
    if (phases_.contains(std::string(phase))) interrupts_.request(trainer::Interrupt::kSaveAndStop);
  }
  [[noreturn]] void abort(int code, const std::string& message) override {
    real_->abort(code, message);
    std::abort();
  }

 private:
  std::unique_ptr<trainer::World> real_ = trainer::World::start({});
  std::set<std::string> phases_;
  trainer::Interrupts& interrupts_;
};

// Returns true when the run ended before any of these phases began.
inline bool run_until(const std::set<std::string>& phases, const configs::RunConfig& config,
                      const std::filesystem::path& dir) {
  trainer::Interrupts interrupts;
  StoppingWorld world(phases, interrupts);
  try {
    launch::run_stages({config, dir, "test", &world, &interrupts});
    return true;
  } catch (const trainer::SavedAndStopped&) {
    return false;
  }
}

}  // namespace terse::support
