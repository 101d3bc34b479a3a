// Which forms are rungs, and the measured length of each.
#include "rl/ladder.h"

#include <algorithm>

namespace terse::rl {

namespace {

constexpr int64_t kSampled = 16;  // problems that a rung's mean length is measured on

// Thinking tokens of a correct trace: all before the closing mark, the answer and the end token.
size_t thinking(const Problem& problem, const std::vector<int32_t>& trace) {
  return trace.size() - problem.answer.size() - 2;
}

}  // namespace

Ladder::Ladder(const Task& task) : task_(task) {
  const std::vector<int64_t> difficulties = task.difficulties();
  for (const std::string& form : task.forms()) {
    const Problem hardest = task.problem(Split::kTrain, 0, difficulties.back());
    if (thinking(hardest, task.trace(hardest, form)) > 0) forms_.push_back(form);
  }
  for (const int64_t difficulty : difficulties) {
    Difficulty entry{difficulty, {}};
    for (int64_t rung = 0; rung < count(); ++rung) {
      double total = 0;
      for (int64_t i = 0; i < kSampled; ++i)
        total += static_cast<double>(trace(task.problem(Split::kTrain, i, difficulty), rung).size());
      entry.lengths.push_back(total / kSampled);
    }
    difficulties_.push_back(std::move(entry));
  }
}

std::vector<int32_t> Ladder::trace(const Problem& problem, int64_t rung) const {
  return task_.trace(problem, forms_[static_cast<size_t>(rung)]);
}

const std::vector<double>& Ladder::lengths(int64_t difficulty) const {
  return std::find_if(difficulties_.begin(), difficulties_.end(),
                      [&](const Difficulty& d) { return d.value == difficulty; })
      ->lengths;
}

int64_t Ladder::last(int64_t difficulty) const {
  const std::vector<double>& all = lengths(difficulty);
  return std::find(all.begin(), all.end(), all.back()) - all.begin();
}

}  // namespace terse::rl
