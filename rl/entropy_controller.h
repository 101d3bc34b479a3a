// Keeps a policy from losing the diversity that exploration needs: raises the weight of the entropy bonus while the
// entropy of sampled distributions is below a floor, and lets it fall back above.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>

namespace terse::rl {

class EntropyController {
 public:
  // `base` is the weight that the config names; 0 switches entropy control off.
  explicit EntropyController(double base) : base_(base), weight_(base) {}

  double weight() const { return weight_; }
  // Takes the mean entropy of a step's distributions, nats.
  void observe(double entropy) {
    weight_ = std::clamp(entropy < kFloor ? weight_ * kStep : weight_ / kStep, base_, kMost * base_);
  }
  nlohmann::json state() const { return weight_; }
  void restore(const nlohmann::json& state) { weight_ = state; }

 private:
  static constexpr double kFloor = 0.01;  // nats per token: about one token in 700 sampled against the mode
  static constexpr double kStep = 1.05;   // a doubling in 14 steps
  static constexpr double kMost = 10;     // times the base
  double base_;
  double weight_;
};

}  // namespace terse::rl
