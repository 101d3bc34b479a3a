// The step-N folders of a checkpoints/ folder: finding and reading them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoints/manifest.h"

namespace terse::checkpoints {

constexpr char kLatestName[] = "latest";

std::string step_name(int64_t step);                       // "step-200"
std::optional<int64_t> parse_step(std::string_view name);  // nullopt for anything else, "step-007" too

struct StepEntry {
  int64_t step = 0;
  EntryKind kind = EntryKind::kFolder;  // anything but a folder is a defect
};
// Entries named step-N, newest first. Throws DiskError.
std::vector<StepEntry> list_steps(Io& io, const Io::Path& dir);

// Reads MANIFEST.json after checking it against MANIFEST.sha256; throws CorruptError or DiskError.
Manifest read_manifest(Io& io, const Io::Path& checkpoint);

enum class Depth {
  kHashes,  // sizes and hashes of all files, and that nothing else lies in the folder
  kData,    // also everything inside the files
};
// All defects of a checkpoint, each beginning with the file's name; empty when sound. With `loaded` and no defects, its
// info, state and path are filled.
std::vector<std::string> check_checkpoint(Io& io, const Io::Path& checkpoint, Depth depth, Store::Loaded* loaded);

// The first few of them in one line.
std::string defect_summary(const std::vector<std::string>& defects);

// Store::load_latest on any Io.
std::optional<Store::Loaded> load_latest(Io& io, const Io::Path& dir);

}  // namespace terse::checkpoints
