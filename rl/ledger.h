// Records which training problems have been assigned, and which of them are still outstanding. So no problem is lost
// and none is used twice, even when a group is generated twice, arrives too late, or is lost with a killed process.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace terse::rl {

class Ledger {
 public:
  explicit Ledger(int64_t first) : first_(first), next_(first) {}

  int64_t assign();  // returns the next problem's index, which is then outstanding
  // Records that the problem's group has been used: for an update or, when it taught nothing, for statistics only.
  // Throws std::logic_error unless the problem is outstanding.
  void consume(int64_t problem);

  int64_t assigned() const { return next_ - first_; }
  const std::set<int64_t>& outstanding() const { return outstanding_; }

  nlohmann::json state() const;
  void restore(const nlohmann::json& state);

 private:
  int64_t first_, next_;
  std::set<int64_t> outstanding_;
};

}  // namespace terse::rl
