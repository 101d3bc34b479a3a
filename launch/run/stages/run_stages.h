// Runs the stages of a run in order, in one run folder: pretrain, sft, rl, eval. The same call resumes an interrupted
// run.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "configs/run_config.h"
#include "rl/tasks/vocabulary.h"
#include "trainer/interrupts.h"
#include "trainer/parallel/world.h"

namespace terse::launch {

struct RunRequest {
  configs::RunConfig config;                  // resolved and checked
  std::filesystem::path dir;                  // run folder; exists and is locked by the caller
  std::string commit;                         // of the program, for summary.json
  trainer::World* world = nullptr;            // every rank of it makes the same request
  trainer::Interrupts* interrupts = nullptr;  // may be null: no signals
  rl::OpenedTask task = {};                   // if the check of the config has opened it
};

// Runs (or resumes) all stages and returns the summary; ranks that only generate return null. The first rank writes
// metrics, traces and summary.json into the folder, and all ranks that learn write checkpoints. summary.json has all
// stages only when the last checkpoint is on disk. Throws trainer::SavedAndStopped after a requested stop, or an error
// of base/errors.h.
nlohmann::json run_stages(RunRequest request);

}  // namespace terse::launch
