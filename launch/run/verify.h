// Checks everything in a run folder that can be checked. `terse verify` prints the findings.
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

// Checks config.yaml, environment.json, tokenizer.json, data/, metrics.jsonl, ledger.jsonl, summary.json, traces/ and
// every checkpoint of a run folder. If the run trains meanwhile, a failed check is repeated. A file that is gone or
// sound by then is no defect.
std::vector<Finding> verify_run(const std::filesystem::path& dir);
// Checks one checkpoint folder. Its run may train meanwhile.
std::vector<Finding> verify_checkpoint(const std::filesystem::path& dir);

}  // namespace terse::launch
