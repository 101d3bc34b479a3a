// Describes the processor and the memory that this process may use. Container limits and CPU affinity are included.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace terse::launch {

struct Cpu {
  std::string model;               // "AMD EPYC", or "unknown"
  std::vector<std::string> flags;  // flags of this machine that kernels may use: "avx2", "avx512_bf16", "amx_bf16", ...
  std::string kernels;             // instruction set that the kernels use: kernels::Table::isa, or "" (too old to run)
  int64_t cores_online = 0;        // cores of the machine
  int64_t cores_allowed = 0;       // cores that this process may run on (affinity)
  double core_quota = 0;           // CPU time limit of the control group, in cores; 0: none
};

struct Memory {
  int64_t total_bytes = 0;
  int64_t available_bytes = 0;
  int64_t group_limit_bytes = 0;  // limit of the control group; 0: none
};

Cpu inspect_cpu();
Memory inspect_memory();

nlohmann::json to_json(const Cpu& cpu);
nlohmann::json to_json(const Memory& memory);

}  // namespace terse::launch
