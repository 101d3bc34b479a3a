// Looks at files that a run may be changing at the same time.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "launch/verify.h"

namespace terse::launch {

// What is wrong only for a moment, while a run appends, cuts back, replaces or removes, is no defect. What is wrong in
// a run at rest always is one.
class SecondLook {
 public:
  explicit SecondLook(std::filesystem::path run);

  // Whether a process trains in the folder, or did when this object was made.
  bool live() const;

  // What `check` finds. Where it finds a defect in a live run, it is asked again, a few times.
  using Findings = std::vector<Finding>;
  Findings at(const std::function<Findings()>& check) const;

 private:
  std::filesystem::path run_;
  bool was_live_;
};

}  // namespace terse::launch
