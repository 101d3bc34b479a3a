// Reads the CPU and memory limits of this process's control group (container, batch job). Supports cgroup v1 and v2.
#pragma once

#include <cstdint>
#include <filesystem>

namespace terse::trainer {

// Paths of the cgroup interface. Tests use their own folders.
struct ControlGroupFiles {
  std::filesystem::path own = "/proc/self/cgroup";  // the groups of this process
  std::filesystem::path root = "/sys/fs/cgroup";
};

// Returns the CPU quota in cores, the smallest of the group and its parents. 0: no quota.
double core_quota(const ControlGroupFiles& files = {});
// Returns the memory limit in bytes, the smallest of the group and its parents. 0: no limit below `machine_total`
// (bytes).
int64_t memory_limit(int64_t machine_total, const ControlGroupFiles& files = {});
// Returns the bytes of memory that this process may use: those of the machine, or the limit of the group.
int64_t usable_memory();

// Returns how many threads can run at once without waiting for each other: the cores that the process may run on, or
// the quota in whole cores if that is less. At least 1.
int64_t usable_cores(int64_t cores_allowed, double core_quota);

}  // namespace terse::trainer
