// Writes one line per rollout. The task's tokenizer decodes prompt and response.
#include "rl/rollout/trace_log.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace terse::rl {

void TraceLog::write(const std::string& stage, int64_t step, const char* logged_for, const Problem& problem,
                     const Rollout& rollout) const {
  nlohmann::ordered_json line = {{"stage", stage},
                                 {"step", step},
                                 {"logged_for", logged_for},
                                 {"problem", problem.index},
                                 {"difficulty", problem.difficulty},
                                 {"prompt", task_.tokenizer().decode_known(problem.prompt)},
                                 {"response", task_.tokenizer().decode_known(rollout.tokens)},
                                 {"tokens", rollout.length()},
                                 {"correct", rollout.correct},
                                 {"form", rollout.form},
                                 {"reward", rollout.reward},
                                 {"finish", rollout.finish == FinishReason::kStop ? "stop" : "length"}};
  if (!problem.task.empty()) line["task"] = problem.task;
  try {
    // The bytes of a response need not be UTF-8.
    record_.append(file(stage), line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } catch (const trainer::MetricsError& error) {
    record_.warn(fmt::format("{}; training continues without traces until they can be written again", error.what()));
  }
}

void TraceLog::training(int64_t step, const std::vector<RolloutGroup>& groups) const {
  for (size_t g = 0; g < groups.size() && g < 2; ++g) {
    for (const bool right : {true, false}) {
      for (const Rollout& rollout : groups[g].rollouts) {
        if (rollout.correct != right) continue;
        write("rl", step, "train", groups[g].problem, rollout);
        break;
      }
    }
  }
}

void TraceLog::evaluation(const std::string& stage, int64_t step, const RolloutGroup& group) const {
  write(stage, step, "eval", group.problem, group.rollouts.front());
}

}  // namespace terse::rl
