// After every step the problems used so far and those outstanding must be all that were handed out, which are numbered
// without gaps.
#include "launch/verify_ledger.h"

#include <fmt/format.h>

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
  if (step != step_ + 1) return fmt::format("step {} comes after step {}", step, step_);
  step_ = step;
  for (const int64_t problem : used)
    if (!used_.insert(problem).second) return fmt::format("the group of problem {} was used twice", problem);
  std::set<int64_t> all = used_;
  for (const int64_t problem : outstanding)
    if (!all.insert(problem).second)
      return fmt::format("problem {} is outstanding although it was used before", problem);
  const auto found = static_cast<int64_t>(all.size());
  if (found != handed_out || *all.rbegin() - *all.begin() + 1 != handed_out) {
    return fmt::format("{} problems were handed out, but {} are accounted for: {} are lost", handed_out, found,
                       handed_out - found);
  }
  return "";
}

}  // namespace terse::launch
