// Keeps the indices of outstanding problems in a set. Every other index below `next_` has been consumed.
#include "rl/ledger.h"

#include <fmt/format.h>

#include <stdexcept>

namespace terse::rl {

int64_t Ledger::assign() {
  outstanding_.insert(next_);
  return next_++;
}

void Ledger::consume(int64_t problem) {
  if (outstanding_.erase(problem) == 0)
    throw std::logic_error(fmt::format("the group of problem {} was used although it was not outstanding", problem));
}

nlohmann::json Ledger::state() const {
  return {{"next", next_}, {"outstanding", outstanding_}};
}

void Ledger::restore(const nlohmann::json& state) {
  next_ = state.at("next");
  outstanding_ = state.at("outstanding").get<std::set<int64_t>>();
}

}  // namespace terse::rl
