// The step-N folders of a checkpoints/ folder: lists them and reads their manifests.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoints/format/manifest.h"

namespace terse::checkpoints {

constexpr char kLatestName[] = "latest";

std::string step_name(int64_t step);                       // "step-200"
std::optional<int64_t> parse_step(std::string_view name);  // nullopt for anything else, "step-007" too

struct StepEntry {
  int64_t step = 0;
  EntryKind kind = EntryKind::kFolder;  // anything but a folder is a defect
};
// Returns the entries named step-N, newest first. Throws DiskError.
std::vector<StepEntry> list_steps(FileSystem& fs, const FileSystem::Path& dir);

// Reads MANIFEST.json after checking it against MANIFEST.sha256. Stores the hash in `sha256` when that is not null.
// Throws DataError.
Manifest read_manifest(FileSystem& fs, const FileSystem::Path& checkpoint, std::string* sha256 = nullptr);

}  // namespace terse::checkpoints
