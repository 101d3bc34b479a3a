// Converts steps to folder names and back, and parses a manifest only when its hash is right.
#include "checkpoints/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace terse::checkpoints {

namespace {

constexpr std::string_view kStepPrefix = "step-";
constexpr uint64_t kMaxHashFileBytes = 4096;

}  // namespace

std::string step_name(int64_t step) {
  return fmt::format("{}{}", kStepPrefix, step);
}

std::optional<int64_t> parse_step(std::string_view name) {
  if (!name.starts_with(kStepPrefix)) return std::nullopt;
  int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data() + kStepPrefix.size(), name.data() + name.size(), step);
  if (error != std::errc() || end != name.data() + name.size() || step < 0 || step_name(step) != name)
    return std::nullopt;
  return step;
}

std::vector<StepEntry> list_steps(FileSystem& fs, const FileSystem::Path& dir) {
  std::vector<StepEntry> steps;
  for (const Entry& entry : fs.list(dir)) {
    if (const std::optional<int64_t> step = parse_step(entry.name)) steps.push_back({*step, entry.kind});
  }
  std::sort(steps.begin(), steps.end(), [](const StepEntry& a, const StepEntry& b) { return a.step > b.step; });
  return steps;
}

Manifest read_manifest(FileSystem& fs, const FileSystem::Path& checkpoint, std::string* sha256) {
  const auto read = [&](const char* name, uint64_t cap) {
    try {
      return fs.read(checkpoint / name, cap);
    } catch (const DiskError& error) {
      throw DataError(fmt::format("{}: {}", name, error.what()));
    }
  };
  const std::string text = read(kManifestName, kMaxManifestBytes);
  const std::string expected = manifest_hash_text(text);
  if (read(kManifestHashName, kMaxHashFileBytes) != expected) {
    throw DataError(fmt::format("{}: its SHA-256 is {}, which differs from the one in {}", kManifestName,
                                expected.substr(0, 64), kManifestHashName));
  }
  if (sha256 != nullptr) *sha256 = expected.substr(0, 64);
  try {
    return parse_manifest(text);
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", kManifestName, error.what()));
  }
}

}  // namespace terse::checkpoints
