// Parses the files of cgroup v1 and v2. A file that is missing or holds no number counts as no limit.
#include "trainer/control_group.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

namespace terse::trainer {
namespace {

namespace fs = std::filesystem;

// Returns the folder of this process's group for `controller` ("" for version 2) and the folders of all its parents,
// innermost first.
std::vector<fs::path> group_folders(const ControlGroupFiles& files, const std::string& controller) {
  std::ifstream file(files.own);
  for (std::string line; std::getline(file, line);) {  // "4:memory:/some/group", or "0::/some/group"
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (names.find("," + controller + ",") == std::string::npos) continue;
    const fs::path root = files.root / controller;
    std::vector<fs::path> folders;
    for (auto group = fs::path(line.substr(second + 2)); !group.empty(); group = group.parent_path())
      folders.push_back(root / group);
    folders.push_back(root);
    return folders;
  }
  return {};
}

// Returns word number `word` of a control file as a number. Returns `fallback` when the file is absent or holds "max".
int64_t control_value(const fs::path& file, int64_t fallback, int word = 0) {
  std::ifstream stream(file);
  std::string text;
  for (int i = 0; i <= word; ++i) stream >> text;
  try {
    return stream ? std::stoll(text) : fallback;
  } catch (const std::exception&) {
    return fallback;
  }
}

}  // namespace

double core_quota(const ControlGroupFiles& files) {
  double quota = std::numeric_limits<double>::infinity();
  const auto consider = [&quota](int64_t time, int64_t period) {
    if (time > 0 && period > 0) quota = std::min(quota, static_cast<double>(time) / static_cast<double>(period));
  };
  for (const fs::path& folder : group_folders(files, ""))
    consider(control_value(folder / "cpu.max", -1, 0), control_value(folder / "cpu.max", -1, 1));
  for (const fs::path& folder : group_folders(files, "cpu"))
    consider(control_value(folder / "cpu.cfs_quota_us", -1), control_value(folder / "cpu.cfs_period_us", -1));
  return std::isinf(quota) ? 0 : quota;
}

int64_t memory_limit(int64_t machine_total, const ControlGroupFiles& files) {
  int64_t limit = machine_total;
  for (const fs::path& folder : group_folders(files, ""))
    limit = std::min(limit, control_value(folder / "memory.max", limit));
  for (const fs::path& folder : group_folders(files, "memory"))
    limit = std::min(limit, control_value(folder / "memory.limit_in_bytes", limit));
  return limit < machine_total ? limit : 0;  // version 1 states "no limit" as a huge number
}

int64_t usable_memory() {
  const int64_t machine = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  const int64_t limit = memory_limit(machine);
  return limit > 0 ? limit : machine;
}

int64_t usable_cores(int64_t cores_allowed, double core_quota) {
  const int64_t timed = core_quota > 0 ? static_cast<int64_t>(std::floor(core_quota)) : cores_allowed;
  return std::max<int64_t>(1, std::min(cores_allowed, timed));
}

}  // namespace terse::trainer
