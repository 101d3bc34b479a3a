// One line per rollout; the text is the tokenizer's.
#include "rl/trace_log.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace terse::rl {

TraceLog::TraceLog(std::filesystem::path folder, const Task& task) : folder_(std::move(folder)), task_(task) {
  if (!folder_.empty()) std::filesystem::create_directories(folder_);
}

void TraceLog::write(const std::string& stage, int64_t step, const char* logged_for, const Problem& problem,
                     const Rollout& rollout) const {
  if (folder_.empty()) return;
  const nlohmann::ordered_json line = {{"stage", stage},
                                       {"step", step},
                                       {"logged_for", logged_for},
                                       {"problem", problem.index},
                                       {"difficulty", problem.difficulty},
                                       {"prompt", task_.tokenizer().decode(problem.prompt)},
                                       {"response", task_.tokenizer().decode(rollout.tokens)},
                                       {"tokens", rollout.length()},
                                       {"correct", rollout.correct},
                                       {"form", rollout.form},
                                       {"reward", rollout.reward},
                                       {"finish", rollout.finish == FinishReason::kStop ? "stop" : "length"}};
  // Opened per line: a killed run leaves at most one torn line, and a resumed one appends behind it.
  std::ofstream(folder_ / (stage + ".jsonl"), std::ios::app) << line.dump() << '\n';
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
