// Compares what the machine has with what terse needs. Each problem comes with a fix that the user can apply.
#include "launch/machine/diagnosis.h"

#include <fmt/format.h>

#include <cmath>

#include "launch/machine/host.h"
#include "launch/text.h"

namespace terse::launch {
namespace {

constexpr int64_t kMiB = 1 << 20;

void diagnose_compute(const Machine& machine, const std::string& device, std::vector<Problem>& problems) {
  const Cpu& cpu = machine.cpu;
  if (cpu.kernels.empty())
    problems.push_back({true, fmt::format("the CPU ({}) has no AVX2 and FMA, which the kernels need", cpu.model),
                        "use a machine with an x86-64-v3 processor (Intel Haswell, AMD Zen, or newer)"});
  const Gpus& gpus = machine.gpus;
  if (!gpus.devices.empty() && !gpus.torch_cuda)
    problems.push_back({device == "cuda", "this machine has a GPU, but LibTorch's CUDA libraries are not installed",
                        "run scripts/setup.sh --cuda, then build again"});
  else if (device == "cuda" && !gpus.usable())
    problems.push_back(
        {true, "--device cuda was given, but no GPU can be used" + (gpus.why_none.empty() ? "" : ": " + gpus.why_none),
         "use --device auto or cpu, or install the NVIDIA driver"});
}

void diagnose_limits(const Machine& machine, std::vector<Problem>& problems) {
  const Limits& limits = machine.limits;
  if (machine.memory.available_bytes < 1024 * kMiB)
    problems.push_back(
        {false, fmt::format("only {} of memory is free", byte_size(machine.memory.available_bytes)),
         "end other programs, or lower batch sizes (engine.max_batch, micro_batch of each stage, rl.prompt_sharing)"});
  if (limits.open_files >= 0 && limits.open_files < 512)
    problems.push_back(
        {false, fmt::format("this process may open only {} files", limits.open_files), "ulimit -n 4096"});
  if (!limits.disk_writable)
    problems.push_back({true,
                        fmt::format("{} cannot be written, so no run folder can be created", limits.disk.string()),
                        "change to a folder that you may write to, or use --run-dir"});
  if (limits.disk_free_bytes >= 0 && limits.disk_free_bytes < 1024 * kMiB)
    problems.push_back({limits.disk_free_bytes < kMiB,
                        fmt::format("only {} is free on the disk of the run folders ({})",
                                    byte_size(limits.disk_free_bytes), limits.disk.string()),
                        "free some space, or use --run-dir on another disk"});
  if (limits.shm_bytes < 64 * kMiB)
    problems.push_back(
        {false,
         fmt::format("/dev/shm has only {}; the processes of a run exchange data there", byte_size(limits.shm_bytes)),
         "start the container with more, for example docker run --shm-size=1g"});
  if (!limits.utf8)
    problems.push_back(
        {false,
         fmt::format("the locale ({}) is not UTF-8: text of other languages may look wrong in this terminal",
                     limits.locale),
         "export LANG=C.UTF-8"});
}

}  // namespace

Machine inspect_machine(const std::filesystem::path& runs) {
  return {host_name(),   system_name(),    linked_libraries(), optional_libraries(),
          inspect_cpu(), inspect_memory(), inspect_gpus(),     inspect_limits(runs)};
}

std::vector<Problem> diagnose(const Machine& machine, const std::string& device) {
  std::vector<Problem> problems;
  diagnose_compute(machine, device, problems);
  diagnose_limits(machine, problems);
  return problems;
}

nlohmann::json to_json(const Machine& machine) {
  const Build program = build();
  return {{"terse",
           {{"version", program.version},
            {"commit", program.commit},
            {"dirty", program.dirty},
            {"compiler", program.compiler},
            {"type", program.type}}},
          {"host", machine.host},
          {"system", machine.system},
          {"libraries", to_json(machine.linked)},
          {"optional", to_json(machine.optional)},
          {"cpu", to_json(machine.cpu)},
          {"memory", to_json(machine.memory)},
          {"gpu", to_json(machine.gpus)},
          {"limits", to_json(machine.limits)}};
}

nlohmann::json to_json(const std::vector<Problem>& problems) {
  nlohmann::json list = nlohmann::json::array();
  for (const Problem& problem : problems)
    list.push_back({{"fatal", problem.fatal}, {"what", problem.what}, {"fix", problem.fix}});
  return list;
}

}  // namespace terse::launch
