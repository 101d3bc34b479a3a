// The world of several ranks. Only when a launcher started this process.
#pragma once

#include <memory>

#include "trainer/dist/world.h"

namespace terse::trainer {

std::unique_ptr<World> mpi_world(const WorldOptions& options);

}  // namespace terse::trainer
