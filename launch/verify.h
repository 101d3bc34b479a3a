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

// config.yaml, environment.json, tokenizer.json, data/, metrics.jsonl, ledger.jsonl, summary.json, traces/ and every
// checkpoint of a run folder. Of a run that trains meanwhile, what is gone or whole when it is looked at again is no
// defect.
std::vector<Finding> verify_run(const std::filesystem::path& dir);
// One checkpoint folder, of a run that may be training, too.
std::vector<Finding> verify_checkpoint(const std::filesystem::path& dir);

}  // namespace terse::launch
