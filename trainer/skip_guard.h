// Counts updates that were skipped because the loss or the gradient was not finite, and stops a run that cannot
// recover.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/errors.h"

namespace terse::trainer {

class SkipGuard {
 public:
  explicit SkipGuard(int64_t most_in_a_row) : most_(most_in_a_row) {}

  // Throws DivergedError naming stage and step once more than `most_in_a_row` updates in a row were skipped.
  void check(bool applied, const std::string& stage, int64_t step) {
    in_a_row_ = applied ? 0 : in_a_row_ + 1;
    if (in_a_row_ > most_) {
      throw DivergedError(
          fmt::format("training diverged in stage {}: the loss or gradient was not finite in {} updates in a row, the "
                      "last at step {}. The weights of the last checkpoint are still good. Lower {}.optimizer.lr or "
                      "raise {}.optimizer.warmup_steps, and run the command again in a new --run-dir.",
                      stage, in_a_row_, step, stage, stage));
    }
  }
  nlohmann::json state() const { return nlohmann::json::array({in_a_row_}); }
  void restore(const nlohmann::json& state) { in_a_row_ = state.at(0); }

 private:
  int64_t most_;
  int64_t in_a_row_ = 0;
};

}  // namespace terse::trainer
