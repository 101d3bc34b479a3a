// Checks ledger.jsonl: no problem may be lost, and none may be used twice.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace terse::launch {

// Checks the lines of one ledger, in order.
class LedgerCheck {
 public:
  // Checks the next line. Returns the mistake in it, or an empty string.
  std::string next(const nlohmann::json& line);

 private:
  std::set<int64_t> used_;
  int64_t step_ = 0;
};

}  // namespace terse::launch
