// Reads /proc, sched_getaffinity and the control group.
#include "launch/machine/cpu.h"

#include <sched.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <sstream>
#include <string_view>

#include "trainer/control_group.h"
#include "trainer/kernels/kernels.h"

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

std::string kernel_isa() {
  return trainer::kernels::cpu_table("avx2") != nullptr ? trainer::kernels::cpu().isa : "";
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
  cpu.core_quota = trainer::core_quota();
  return cpu;
}

Memory inspect_memory() {
  Memory memory;
  memory.total_bytes = meminfo_bytes("MemTotal");
  memory.available_bytes = meminfo_bytes("MemAvailable");
  memory.group_limit_bytes = trainer::memory_limit(memory.total_bytes);
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
