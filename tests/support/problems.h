// Problems of chain7 that are written by hand.
#pragma once

#include <memory>
#include <string>

#include "rl/tasks/task.h"

namespace terse::support {

// `meta` is the chain, such as "3+5*2".
inline rl::Problem chain_problem(const std::string& meta, const std::string& answer = "") {
  rl::Problem problem;
  problem.difficulty = static_cast<int64_t>(meta.size() / 2);
  problem.item =
      std::make_shared<const rl::Item>(rl::Item{.answer = answer, .difficulty = problem.difficulty, .meta = meta});
  return problem;
}

}  // namespace terse::support
