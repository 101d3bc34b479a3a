// Checks that all ranks were started alike. Otherwise a configuration that was copied to one machine only, or an older
// program on another machine, would silently train something that nobody asked for.
#pragma once

#include "configs/run_config.h"
#include "trainer/parallel/world.h"

namespace terse::launch {

// Collective over the world. Throws ConfigError on all ranks when the versions of the program or the values of the
// configuration differ. The message names each key, and each value with its ranks.
void require_same_start(trainer::World& world, const configs::RunConfig& config);

}  // namespace terse::launch
