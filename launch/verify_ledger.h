// The check of ledger.jsonl: no problem lost, none used twice.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace terse::launch {

// Reads lines in order.
class LedgerCheck {
 public:
  // What is wrong with the next line; empty when nothing is.
  std::string next(const nlohmann::json& line);

 private:
  std::set<int64_t> used_;
  int64_t step_ = 0;
};

}  // namespace terse::launch
