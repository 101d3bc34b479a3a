// Problems are numbered without gaps. So after every step, the problems used so far and the outstanding ones must
// together be exactly those that were handed out.
#include "launch/run/verify_ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace terse::launch {

std::string LedgerCheck::next(const nlohmann::json& line) {
  std::set<int64_t> outstanding;
  int64_t step = 0, handed_out = 0;
  std::vector<int64_t> used;
  try {
    step = line.at("step");
    handed_out = line.at("handed_out");
    outstanding = line.at("outstanding").get<std::set<int64_t>>();
    for (const char* fate : {"trained", "unused"})
      for (const int64_t problem : line.at(fate)) used.push_back(problem);
  } catch (const nlohmann::json::exception& error) {
    return error.what();
  }
  if (step != step_ + 1) return fmt::format("step {} follows step {}", step, step_);
  step_ = step;
  for (const int64_t problem : used)
    if (!used_.insert(problem).second) return fmt::format("the group of problem {} was used twice", problem);
  int64_t first = std::numeric_limits<int64_t>::max(), last = std::numeric_limits<int64_t>::min();
  for (const std::set<int64_t>* part : {&used_, &outstanding}) {
    if (part->empty()) continue;
    first = std::min(first, *part->begin());
    last = std::max(last, *part->rbegin());
  }
  for (const int64_t problem : outstanding)
    if (used_.count(problem) > 0) return fmt::format("problem {} is outstanding although it was used before", problem);
  const auto found = static_cast<int64_t>(used_.size() + outstanding.size());
  if (found != handed_out || (found > 0 && last - first + 1 != handed_out)) {
    return fmt::format("{} problems were handed out, but {} are accounted for: {} are lost", handed_out, found,
                       handed_out - found);
  }
  return "";
}

}  // namespace terse::launch
