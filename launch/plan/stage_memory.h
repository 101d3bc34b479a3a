// The memory of one rank in one stage of a run: everything that the process holds at its worst moment.
#pragma once

#include <vector>

#include "launch/plan/plan.h"
#include "launch/plan/stage_shape.h"

namespace terse::launch::plan {

// The tensors of a step at its worst moment, on a rank that learns.
std::vector<Consumer> step_memory(const Run& run, const StageShape& shape);

// All of the stage: its steps, its checkpoints and the evaluation after it, whichever needs most, and the program
// itself. A stage that saves during its steps holds a checkpoint beside them, because a background thread writes it.
std::vector<Consumer> stage_memory(const Run& run, const StageShape& shape);

// The memory of a rank that only generates: its weights, new weights that arrive meanwhile, and the engine.
std::vector<Consumer> sampler_memory(const Run& run, const StageShape& shape);

// The memory before the first stage, when the weights of model.init have been read.
std::vector<Consumer> start_memory(const Run& run);

}  // namespace terse::launch::plan
