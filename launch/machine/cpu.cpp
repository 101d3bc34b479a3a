// Reads /proc, sched_getaffinity and the control group (versions 1 and 2).
#include "launch/machine/cpu.h"

#include <sched.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string_view>

namespace terse::launch {
namespace {

constexpr std::array kFlagsThatMatter = {"avx2",        "fma",         "avx512f",  "avx512bw", "avx512vl",
                                         "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16", "amx_int8"};

// The value of "key : value" or "key: value" in a /proc file; empty when absent.
std::string proc_value(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos || line.find_first_not_of(" \t", key.size()) != colon) continue;
    const size_t start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

int64_t meminfo_bytes(std::string_view key) {
  std::istringstream value(proc_value("/proc/meminfo", key));
  int64_t kib = 0;
  value >> kib;
  return kib * 1024;
}

// This process's control group for `controller` ("" for version 2): the folder and all its parents, innermost first.
std::vector<std::filesystem::path> group_folders(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "4:memory:/some/group", or "0::/some/group"
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (names.find("," + controller + ",") == std::string::npos) continue;
    const std::filesystem::path root = std::filesystem::path("/sys/fs/cgroup") / controller;
    std::vector<std::filesystem::path> folders;
    for (auto group = std::filesystem::path(line.substr(second + 2)); !group.empty(); group = group.parent_path())
      folders.push_back(root / group);
    folders.push_back(root);
    return folders;
  }
  return {};
}

// The first word of a control file as a number; `fallback` when the file is absent or says "max".
int64_t control_value(const std::filesystem::path& file, int64_t fallback, int word = 0) {
  std::ifstream stream(file);
  std::string text;
  for (int i = 0; i <= word; ++i) stream >> text;
  try {
    return stream ? std::stoll(text) : fallback;
  } catch (const std::exception&) {
    return fallback;
  }
}

double core_quota() {
  double quota = std::numeric_limits<double>::infinity();
  const auto consider = [&quota](int64_t time, int64_t period) {
    if (time > 0 && period > 0) quota = std::min(quota, static_cast<double>(time) / static_cast<double>(period));
  };
  for (const auto& folder : group_folders(""))
    consider(control_value(folder / "cpu.max", -1, 0), control_value(folder / "cpu.max", -1, 1));
  for (const auto& folder : group_folders("cpu"))
    consider(control_value(folder / "cpu.cfs_quota_us", -1), control_value(folder / "cpu.cfs_period_us", -1));
  return quota == std::numeric_limits<double>::infinity() ? 0 : quota;
}

int64_t group_memory_limit(int64_t machine_total) {
  int64_t limit = machine_total;
  for (const auto& folder : group_folders("")) limit = std::min(limit, control_value(folder / "memory.max", limit));
  for (const auto& folder : group_folders("memory"))
    limit = std::min(limit, control_value(folder / "memory.limit_in_bytes", limit));
  return limit < machine_total ? limit : 0;  // version 1 states "no limit" as a huge number
}

std::string kernel_isa() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return "avx512";
  if (__builtin_cpu_supports("x86-64-v3")) return "avx2";
  return "";
}

}  // namespace

Cpu inspect_cpu() {
  Cpu cpu;
  cpu.model = proc_value("/proc/cpuinfo", "model name");
  if (cpu.model.empty()) cpu.model = "unknown";
  const std::string flags = " " + proc_value("/proc/cpuinfo", "flags") + " ";
  for (const char* flag : kFlagsThatMatter)
    if (flags.find(" " + std::string(flag) + " ") != std::string::npos) cpu.flags.emplace_back(flag);
  cpu.kernels = kernel_isa();
  cpu.cores_online = sysconf(_SC_NPROCESSORS_ONLN);
  cpu_set_t set;
  CPU_ZERO(&set);
  cpu.cores_allowed = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : cpu.cores_online;
  cpu.core_quota = core_quota();
  return cpu;
}

Memory inspect_memory() {
  Memory memory;
  memory.total_bytes = meminfo_bytes("MemTotal");
  memory.available_bytes = meminfo_bytes("MemAvailable");
  memory.group_limit_bytes = group_memory_limit(memory.total_bytes);
  return memory;
}

nlohmann::json to_json(const Cpu& cpu) {
  return {{"model", cpu.model},
          {"flags", cpu.flags},
          {"kernels", cpu.kernels},
          {"cores_online", cpu.cores_online},
          {"cores_allowed", cpu.cores_allowed},
          {"core_quota", cpu.core_quota}};
}

nlohmann::json to_json(const Memory& memory) {
  return {{"total_bytes", memory.total_bytes},
          {"available_bytes", memory.available_bytes},
          {"group_limit_bytes", memory.group_limit_bytes}};
}

}  // namespace terse::launch
