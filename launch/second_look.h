// Looks at files that a run may be changing at the same time.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "launch/verify.h"

namespace terse::launch {

// While a run appends, replaces or removes files, a check may fail for a moment, which is no defect. In a run at rest
// every failure is one.
class SecondLook {
 public:
  explicit SecondLook(std::filesystem::path run);

  // Whether a process trains in the folder, or did when this object was made.
  bool live() const;

  // The findings of `check`, which is repeated up to five times while it finds a defect and the run is live.
  using Findings = std::vector<Finding>;
  Findings at(const std::function<Findings()>& check) const;

 private:
  std::filesystem::path run_;
  bool was_live_;
};

}  // namespace terse::launch
