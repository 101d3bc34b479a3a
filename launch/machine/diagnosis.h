// Finds problems that keep terse from running on this machine or make it slower.
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

// Inspects this machine. `runs` is the folder that run folders will be created in; it need not exist.
Machine inspect_machine(const std::filesystem::path& runs);

struct Problem {
  bool fatal = false;  // terse cannot run at all, or not as asked
  std::string what;
  std::string fix;
};

// Returns all problems, fatal or not. `device` is the device that the user asked for: auto, cpu or cuda.
std::vector<Problem> diagnose(const Machine& machine, const std::string& device);

nlohmann::json to_json(const Machine& machine);
nlohmann::json to_json(const std::vector<Problem>& problems);

}  // namespace terse::launch
