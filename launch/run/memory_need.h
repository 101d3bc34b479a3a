// Says how much memory a run on CPUs will need, before it allocates any of it.
#pragma once

#include <string>
#include <vector>

#include "configs/run_config.h"
#include "launch/machine/cpu.h"
#include "rl/tasks/vocabulary.h"
#include "trainer/parallel/world.h"

namespace terse::launch {

struct MemoryNeed {
  std::string text;                   // one line: the need of each stage, and what the machine has
  std::vector<std::string> warnings;  // about the stages that need more, with options that would help
};

// The need of a rank by `terse plan` for the longest texts of the run, so most runs need less. The memory of the
// machine, or the limit of its control group, is shared by the ranks of a node. Empty text: no stage trains.
MemoryNeed memory_need(const configs::RunConfig& config, const rl::Vocabulary& vocabulary, const trainer::Place& place,
                       const Memory& memory);

}  // namespace terse::launch
