// Adds up the times of recorded events: by phase of a piece of work, and by operation inside of a phase.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "launch/bench/recording.h"

namespace terse::launch::bench {

// The time of each operation is its own, without the operations inside of it. So the times of the operations of a phase
// and other() add up to the phase, and those of the phases and other() add up to the whole, to the nanosecond.
struct Times {
  int64_t count = 0;
  int64_t nanoseconds = 0;
};

struct PhaseTimes : Times {
  std::string name;
  std::vector<std::pair<std::string, Times>> operations;  // by order of appearance
  int64_t other() const;
};

// The outermost events are repetitions of the work, those inside of them its phases, and those inside of a phase its
// operations. An operation that activation recomputation repeats has ", recomputed" behind its name.
struct Profile : Times {
  std::vector<PhaseTimes> phases;  // by order of appearance
  int64_t other() const;

  void add(std::span<const Event> events);
};

}  // namespace terse::launch::bench
