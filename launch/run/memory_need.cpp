// Plans the stages on a machine like this one. Only its memory matters, so its speed is that of a known machine.
#include "launch/run/memory_need.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "launch/plan/advice.h"
#include "launch/text.h"

namespace terse::launch {

MemoryNeed memory_need(const configs::RunConfig& config, const rl::Vocabulary& vocabulary, const trainer::Place& place,
                       const Memory& memory) {
  plan::Run run;
  run.config = config;
  run.vocab = vocabulary.tokenizer().vocab_size();
  if (vocabulary.task) plan::describe_task(run, *vocabulary.task);
  run.ranks = place.ranks;
  run.ranks_per_node = (place.ranks + place.nodes - 1) / place.nodes;
  const int64_t limit = memory.group_limit_bytes > 0 ? memory.group_limit_bytes : memory.total_bytes;
  run.machine = configs::load_hardware("laptop");
  run.machine.memory_gib = static_cast<double>(limit) / static_cast<double>(run.ranks_per_node) / 0x1p30;
  const std::vector<plan::StagePlan> plans = plan::make_plan(run);
  if (plans.empty()) return {};
  std::vector<std::string> needs;
  for (const plan::StagePlan& plan : plans) {
    const double most = std::max(plan.bytes(), total_bytes(plan.sampler_memory));
    needs.push_back(fmt::format("{} needs up to {}", plan.stage, byte_size(std::llround(most))));
  }
  MemoryNeed need;
  need.text = fmt::format("memory: {}{}; {} has {}", fmt::join(needs, ", "), run.ranks > 1 ? " on each rank" : "",
                          memory.group_limit_bytes > 0 ? "the container or job" : "the machine", byte_size(limit));
  if (run.ranks_per_node > 1) need.text += fmt::format(" for {} ranks", run.ranks_per_node);
  need.warnings = plan::memory_warnings(run, plans);
  return need;
}

}  // namespace terse::launch
