// Everything in a run folder that can be checked: what `terse verify` reports.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace terse::launch {

struct Finding {
  enum class Kind { kSound, kNote, kDefect };  // a note is worth knowing but nothing is wrong
  Kind kind = Kind::kSound;
  std::string subject;  // "checkpoints/step-200", "metrics.jsonl"
  std::string detail;
};

// config.yaml, environment.json, metrics.jsonl, ledger.jsonl, summary.json, traces/ and every checkpoint of a run
// folder.
std::vector<Finding> verify_run(const std::filesystem::path& dir);
// One checkpoint folder.
std::vector<Finding> verify_checkpoint(const std::filesystem::path& dir);

}  // namespace terse::launch
