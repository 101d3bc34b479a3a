// terse report: writes one self-contained HTML file about one run, or about several side by side.
#pragma once

#include <filesystem>
#include <vector>

namespace terse::launch {

// Reads summary.json, metrics.jsonl, traces/, config.yaml and environment.json of each run folder, as far as they
// exist. The report of a run that is unfinished, or lacks some of them, says so. All text in those files is untrusted.
// The page loads nothing from anywhere. The output appears under its name only when it is complete. Throws UsageError
// when a folder holds nothing to report, or when the output exists and is not a report. Throws DiskError when the
// output cannot be written.
void write_report(const std::vector<std::filesystem::path>& run_dirs, const std::filesystem::path& output);

}  // namespace terse::launch
