// CPU and memory limits of this process's control group (container, batch job), of versions 1 and 2 of the interface.
#pragma once

#include <cstdint>
#include <filesystem>

namespace terse::trainer {

// Where the system tells of control groups; tests name folders of their own.
struct ControlGroupFiles {
  std::filesystem::path own = "/proc/self/cgroup";  // the groups of this process
  std::filesystem::path root = "/sys/fs/cgroup";
};

// CPU time in cores: the least quota of the group and its parents; 0: none.
double core_quota(const ControlGroupFiles& files = {});
// Bytes of memory, the least of the group and its parents, where it is below `machine_total`; 0: none.
int64_t memory_limit(int64_t machine_total, const ControlGroupFiles& files = {});

// Threads that run at once without waiting for each other: the cores that the process may run on, or as many whole ones
// as the quota gives time for. At least 1.
int64_t usable_cores(int64_t cores_allowed, double core_quota);

}  // namespace terse::trainer
