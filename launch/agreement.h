// Whether all ranks were started alike. A configuration that was copied to one machine only, or an older program on
// another, would train something that nobody asked for, without a word.
#pragma once

#include "configs/run_config.h"
#include "trainer/dist/world.h"

namespace terse::launch {

// Collective over the world. Throws ConfigError, on all ranks, when versions of the program or values of the
// configuration differ: it names each key, and each value with its ranks.
void require_same_start(trainer::World& world, const configs::RunConfig& config);

}  // namespace terse::launch
