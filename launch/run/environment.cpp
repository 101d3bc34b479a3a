// The record describes this start in full. Of the earlier starts it keeps only their entries in "starts".
#include "launch/run/environment.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/durable.h"
#include "launch/machine/cpu.h"
#include "launch/machine/gpu.h"
#include "launch/machine/host.h"
#include "launch/machine/libraries.h"
#include "launch/run/starts.h"

namespace terse::launch {

nlohmann::json record_start(const std::filesystem::path& dir, const configs::RunConfig& config,
                            const std::vector<std::string>& command, bool retry) {
  const std::filesystem::path file = dir / "environment.json";
  const Build program = build();
  const Cpu cpu = inspect_cpu();
  nlohmann::json starts = read_starts(dir);
  const std::string now = utc_now();
  nlohmann::json start = {{"time", now}, {"host", host_name()}, {"pid", getpid()}, {"commit", commit_text(program)}};
  start.update(describe_start(dir, retry));
  starts.push_back(std::move(start));
  std::error_code ignored;
  nlohmann::json record = {
      {"commit", program.commit},
      {"dirty", program.dirty},
      {"version", program.version},
      {"build", {{"compiler", program.compiler}, {"type", program.type}}},
      {"libraries", to_json(linked_libraries())},
      {"host", host_name()},
      {"system", system_name()},
      {"cpu", to_json(cpu)},
      {"memory", to_json(inspect_memory())},
      {"gpu", to_json(inspect_gpus())},
      {"device", config.run.device},
      {"threads", config.run.threads > 0 ? config.run.threads : cpu.cores_allowed},
      {"command", command},
      {"working_folder", std::filesystem::current_path(ignored).string()},
      {"start", now},
      {"restarts", starts.size() - 1},
      {"starts", std::move(starts)},
  };
  // Command lines and file names need not be UTF-8, so invalid bytes are replaced.
  write_durably(file, record.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  return record;
}

}  // namespace terse::launch
