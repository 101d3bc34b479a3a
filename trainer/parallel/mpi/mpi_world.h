// The World of several ranks. Call it only in a process that a launcher started.
#pragma once

#include <memory>

#include "trainer/parallel/world.h"

namespace terse::trainer {

std::unique_ptr<World> mpi_world(const WorldOptions& options);

}  // namespace terse::trainer
