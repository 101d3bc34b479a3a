// The stages of a run, in order, in one run folder: pretrain, sft, rl, eval. The same call resumes an interrupted run.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "configs/run_config.h"
#include "trainer/dist/world.h"
#include "trainer/interrupts.h"

namespace terse::rl {

struct RunRequest {
  configs::RunConfig config;        // resolved and checked
  std::filesystem::path dir;        // run folder; exists and is locked by the caller
  std::string commit;               // of the program, for summary.json
  trainer::World* world = nullptr;  // of which every rank makes the same request
  trainer::Interrupts* interrupts = nullptr;
};

// Runs (or continues) all stages and returns the summary; the first rank writes metrics, traces and summary.json into
// the folder, all ranks the checkpoints. summary.json has all stages only when the last checkpoint is on disk. Throws
// trainer::SavedAndStopped, DataError, or another error of base/errors.h.
nlohmann::json run(const RunRequest& request);

}  // namespace terse::rl
