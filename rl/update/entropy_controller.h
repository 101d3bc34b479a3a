// Preserves the diversity that exploration needs. The controller raises the weight of the entropy bonus while the
// entropy of the sampled distributions is below a floor. Above the floor, it lowers the weight again, down to its base.
#pragma once

#include <algorithm>
#include <nlohmann/json.hpp>

namespace terse::rl {

class EntropyController {
 public:
  // `base`: rl.entropy_bonus; 0 switches entropy control off.
  explicit EntropyController(double base) : base_(base), weight_(base) {}

  double weight() const { return weight_; }
  // Adapts the weight to the mean entropy of a step's distributions, nats.
  void observe(double entropy) {
    weight_ = std::clamp(entropy < kFloor ? weight_ * kStep : weight_ / kStep, base_, kMost * base_);
  }
  nlohmann::json state() const { return weight_; }
  void restore(const nlohmann::json& state) { weight_ = state; }

 private:
  static constexpr double kFloor = 0.01;  // nats per token: about one token in 700 differs from the mode
  static constexpr double kStep = 1.05;   // a doubling in 14 steps
  static constexpr double kMost = 10;     // largest weight, as a multiple of the base
  double base_;
  double weight_;
};

}  // namespace terse::rl
