// What stands in the way of running terse on this machine, or makes it slower than it has to be.
#pragma once

#include <string>
#include <vector>

#include "launch/machine/cpu.h"
#include "launch/machine/gpu.h"
#include "launch/machine/libraries.h"
#include "launch/machine/limits.h"

namespace terse::launch {

struct Machine {
  std::string host, system;
  std::vector<Library> linked, optional;
  Cpu cpu;
  Memory memory;
  Gpus gpus;
  Limits limits;
};

// `runs`: where run folders are to go.
Machine inspect_machine(const std::filesystem::path& runs);

struct Problem {
  bool fatal = false;  // terse cannot run at all, or not as asked
  std::string what;
  std::string fix;
};

// `device`: auto, cpu or cuda, as asked for.
std::vector<Problem> diagnose(const Machine& machine, const std::string& device);

nlohmann::json to_json(const Machine& machine);
nlohmann::json to_json(const std::vector<Problem>& problems);

}  // namespace terse::launch
