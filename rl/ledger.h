// Which training problems have been handed out and what became of each: none is lost and none is trained twice,
// whatever is generated twice, comes too late, or is cut off by a kill.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace terse::rl {

class Ledger {
 public:
  explicit Ledger(int64_t first) : first_(first), next_(first) {}

  int64_t hand_out();  // the next problem's index
  // Its group has been used: for an update, or (it taught nothing) for statistics only. Throws std::logic_error unless
  // it is outstanding.
  void settle(int64_t problem);

  int64_t handed_out() const { return next_ - first_; }
  const std::set<int64_t>& outstanding() const { return outstanding_; }

  nlohmann::json state() const;
  void restore(const nlohmann::json& state);

 private:
  int64_t first_, next_;
  std::set<int64_t> outstanding_;
};

}  // namespace terse::rl
