// Selects the forms that become levels, thins their traces, and measures the mean length of each level.
#include "rl/compression/curriculum.h"

#include <algorithm>

namespace terse::rl {

namespace {

constexpr int64_t kSampled = 16;  // problems that a level's mean length is measured on

// Number of thinking tokens of a correct trace: all before the token that ends the thinking, the answer and eos.
size_t thinking(const TokenizedTask& task, const Problem& problem, const std::vector<int32_t>& trace) {
  return trace.size() - task.tokenizer().encode(problem.item->answer).size() - 2;
}

// The size of a full trace. The sizes of its thinned versions are computed from it, because hard problems have too many
// levels to render each one.
struct TraceSize {
  size_t tokens, thinking;
  size_t thinned(size_t stride) const {
    return stride == 1 || thinking == 0 ? tokens : tokens - thinking + (thinking - 1) / stride;
  }
};

std::vector<TraceSize> sampled(const TokenizedTask& task, const Difficulty& difficulty, const std::string& form) {
  std::vector<TraceSize> sizes;
  for (int64_t i = 0; i < kSampled; ++i) {
    const Problem problem = task.problem(Split::kTrain, i, difficulty);
    const std::vector<int32_t> trace = task.trace(problem, form);
    sizes.push_back({trace.size(), thinking(task, problem, trace)});
  }
  return sizes;
}

}  // namespace

Curriculum::Curriculum(const TokenizedTask& task) : task_(task) {
  const std::vector<Difficulty> difficulties = task.difficulties();
  if (!task.can_be_thinned() || difficulties.empty()) return;
  const Difficulty highest = *std::max_element(difficulties.begin(), difficulties.end(),
                                               [](const auto& a, const auto& b) { return a.value < b.value; });
  const Problem hardest = task.problem(Split::kTrain, 0, highest);
  size_t shortest = 0;
  for (const std::string& form : task.forms()) {
    const size_t tokens = thinking(task, hardest, task.trace(hardest, form));
    if (tokens == 0) continue;
    levels_.push_back({form, 1});
    shortest = tokens;
  }
  for (size_t stride = 2; stride <= shortest; ++stride) levels_.push_back({levels_.back().form, stride});
  for (const Difficulty& difficulty : difficulties) {
    std::vector<double>& of_levels = lengths_[difficulty];
    std::vector<TraceSize> sizes;
    for (size_t level = 0; level < levels_.size(); ++level) {
      if (level == 0 || levels_[level].form != levels_[level - 1].form)
        sizes = sampled(task, difficulty, levels_[level].form);
      double total = 0;
      for (const TraceSize& size : sizes) total += static_cast<double>(size.thinned(levels_[level].stride));
      of_levels.push_back(total / kSampled);
    }
  }
}

std::vector<int32_t> Curriculum::trace(const Problem& problem, int64_t index) const {
  const Level& level = levels_[static_cast<size_t>(index)];
  const std::vector<int32_t> full = task_.trace(problem, level.form);
  if (level.stride == 1) return full;
  const size_t steps = thinking(task_, problem, full);
  std::vector<int32_t> thinned;
  // The last thinking token is always dropped, because the last form that thinks ends its thinking with the answer.
  for (size_t i = level.stride; i < steps; i += level.stride) thinned.push_back(full[i - 1]);
  thinned.insert(thinned.end(), full.begin() + static_cast<std::ptrdiff_t>(steps), full.end());
  return thinned;
}

const std::vector<double>& Curriculum::lengths(const Difficulty& difficulty) const {
  return lengths_.at(difficulty);
}

int64_t Curriculum::last(const Difficulty& difficulty) const {
  const std::vector<double>& all = lengths(difficulty);
  return std::find(all.begin(), all.end(), all.back()) - all.begin();
}

}  // namespace terse::rl
