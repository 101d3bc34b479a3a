// terse doctor: what this machine has, and what to fix.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "launch/commands/command.h"
#include "launch/exit_codes.h"
#include "launch/machine/diagnosis.h"
#include "launch/output.h"
#include "launch/text.h"

namespace terse::launch {
namespace {

constexpr const char* kMore =
    "The exit code is 0 if terse can run here, and 78 if it cannot, or not on the given --device. --run-dir names the "
    "folder whose\n"
    "disk is checked.\n\n"
    "Examples:\n"
    "  terse doctor\n"
    "  terse doctor --device cuda\n"
    "  terse doctor --json";

using Rows = std::vector<std::vector<std::string>>;

void add_libraries(const Machine& machine, Rows& rows) {
  const Build program = build();
  rows.push_back({"terse", fmt::format("{} (commit {}, {}, {})", program.version, commit_text(program),
                                       program.compiler, program.type)});
  for (const Library& library : machine.linked) rows.push_back({library.name, library.version});
  for (const Library& library : machine.optional)
    rows.push_back({library.name, library.version.empty() ? fmt::format("not found ({})", library.note)
                                                          : fmt::format("{} ({})", library.version, library.note)});
}

void add_compute(const Machine& machine, Rows& rows) {
  const Cpu& cpu = machine.cpu;
  const std::string quota = cpu.core_quota > 0 ? fmt::format(", CPU quota of {:.1f} cores", cpu.core_quota) : "";
  rows.push_back({"CPU", fmt::format("{}, {} of {} cores{}", cpu.model, cpu.cores_allowed, cpu.cores_online, quota)});
  rows.push_back({"kernels", fmt::format("{} (CPU has {})", cpu.kernels.empty() ? "none run on this CPU" : cpu.kernels,
                                         fmt::join(cpu.flags, " "))});
  const Memory& memory = machine.memory;
  rows.push_back(
      {"memory", fmt::format("{}, {} free{}", byte_size(memory.total_bytes), byte_size(memory.available_bytes),
                             memory.group_limit_bytes > 0
                                 ? fmt::format(", limited to {} by the container", byte_size(memory.group_limit_bytes))
                                 : "")});
  const Gpus& gpus = machine.gpus;
  if (gpus.devices.empty()) rows.push_back({"GPU", gpus.why_none + "; runs use the CPU"});
  for (const GpuDevice& device : gpus.devices)
    rows.push_back(
        {"GPU", fmt::format("{}, {} ({} free), compute capability {}", device.name, byte_size(device.memory_bytes),
                            byte_size(device.free_bytes), device.compute_capability)});
  if (!gpus.driver.empty()) rows.push_back({"driver", fmt::format("{}, CUDA {}", gpus.driver, gpus.cuda)});
}

std::string count(int64_t limit) {
  return limit < 0 ? "unlimited" : with_thousands(limit);
}

void add_limits(const Machine& machine, Rows& rows) {
  const Limits& limits = machine.limits;
  rows.push_back({"open files", fmt::format("{} (up to {})", count(limits.open_files), count(limits.open_files_hard))});
  rows.push_back({"/dev/shm", byte_size(limits.shm_bytes)});
  const std::string room = limits.disk_free_bytes < 0 ? "unknown amount" : byte_size(limits.disk_free_bytes);
  rows.push_back({"disk", fmt::format("{} free in {}{}", room, limits.disk.string(),
                                      limits.disk_writable ? "" : ", not writable")});
  rows.push_back({"locale", fmt::format("{}{}", limits.locale, limits.utf8 ? "" : ", not UTF-8")});
}

void print_report(const Machine& machine, const std::vector<Problem>& problems, bool able) {
  Rows rows = {{"machine", fmt::format("{}, {}", machine.host, machine.system)}};
  add_libraries(machine, rows);
  add_compute(machine, rows);
  add_limits(machine, rows);
  print_result("{}\n", table(rows, /*left=*/{0, 1}));
  for (const Problem& problem : problems)
    print_result("{}: {}\n  fix: {}\n", problem.fatal ? "PROBLEM" : "warning", problem.what, problem.fix);
  print_result("{}\n", able ? "terse can run here." : "terse cannot run here as requested; see the problems above.");
}

int doctor(const GlobalOptions& globals, bool json) {
  const Machine machine = inspect_machine(globals.run_dir.value_or("runs"));
  const std::vector<Problem> problems = diagnose(machine, globals.device.value_or("auto"));
  const bool able =
      std::none_of(problems.begin(), problems.end(), [](const Problem& problem) { return problem.fatal; });
  if (json) {
    nlohmann::json object = to_json(machine);
    object["problems"] = to_json(problems);
    object["able"] = able;
    print_result("{}\n", object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    print_report(machine, problems, able);
  }
  return able ? kDone : kBadConfig;
}

}  // namespace

void add_doctor(const Command& parent) {
  const Command command = parent.add("doctor", "Check this machine and show how to fix problems");
  const auto json = std::make_shared<bool>(false);
  command.flag("--json", *json, "Print as JSON");
  command.finish(kRunDir | kDevice, kMore, [=] { return doctor(command.globals(), *json); });
}

}  // namespace terse::launch
