// Checks files that a run may be changing at the same time.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "launch/run/verify.h"

namespace terse::launch {

// Repeats a failed check while a process trains in the folder. Such a process appends, replaces and removes files, so a
// check may fail for a moment although nothing is wrong. Without such a process, every failure is a defect.
class SecondLook {
 public:
  explicit SecondLook(std::filesystem::path run);

  // True when a process trains in the folder, or did when this object was created.
  bool live() const;

  // Returns the findings of `check`. The check runs up to five times, as long as it finds a defect and the run is live.
  using Findings = std::vector<Finding>;
  Findings at(const std::function<Findings()>& check) const;

 private:
  std::filesystem::path run_;
  bool was_live_;
};

}  // namespace terse::launch
