// terse report: one self-contained HTML file about one run, or about several side by side.
#pragma once

#include <filesystem>
#include <vector>

namespace terse::launch {

// Reads what is there of summary.json, metrics.jsonl, traces/, config.yaml and environment.json in each run folder; a
// run that is unfinished, or lacks some of them, gets a report that says so. Everything in those files is treated as
// untrusted text. The page loads nothing from anywhere. The output appears under its name only when complete. Throws
// UsageError when a folder holds nothing to report, or the output is there already and is not a report;
// DiskError when the output cannot be written.
void write_report(const std::vector<std::filesystem::path>& run_dirs, const std::filesystem::path& output);

}  // namespace terse::launch
