// The walk down the ladder; see the header.
#include "rl/compression_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace terse::rl {

namespace {

constexpr double kMemory = 300;      // rollouts of a difficulty that a tally remembers
constexpr double kEvidence = 30;     // rollouts that a tally must hold before it decides anything
constexpr double kTolerance = 0.02;  // accuracy below the reference that counts as no loss in a tally: sampling noise
constexpr double kExamTolerance = 0.01;  // the same in an exam, which can be taken again
constexpr double kFloor = 0.10;          // below the reference by more: the difficulty moves back up

}  // namespace

CompressionController::CompressionController(const Task& task) : ladder_(task) {
  for (int64_t d : task.difficulties()) {
    states_[d].by_rung.resize(static_cast<size_t>(ladder_.count()));
  }
}

double CompressionController::limit(int64_t difficulty) const {
  const State& state = states_.at(difficulty);
  if (state.overall.count == 0) return std::numeric_limits<double>::infinity();
  return limit_at(difficulty, state.rung);
}

std::optional<int64_t> CompressionController::next_rung() const {
  std::optional<int64_t> next;
  for (const auto& [difficulty, state] : states_) {
    if (state.overall.count < kEvidence) return std::nullopt;
    if (state.rung < ladder_.last(difficulty)) next = std::min(next.value_or(state.rung + 1), state.rung + 1);
  }
  return next;
}

bool CompressionController::passes(const std::map<int64_t, double>& accuracy) const {
  return std::all_of(states_.begin(), states_.end(), [&](const auto& entry) {
    return accuracy.at(entry.first) >= entry.second.reference - kExamTolerance;
  });
}

void CompressionController::promote(int64_t rung) {
  for (auto& [difficulty, state] : states_) {
    const int64_t target = std::min(rung, ladder_.last(difficulty));
    if (target <= state.rung) continue;
    state.rung = target;
    state.by_rung[static_cast<size_t>(target)] = {};  // what the policy did at this length before says nothing now
  }
}

int64_t CompressionController::rung_of(int64_t difficulty, int64_t stand, double length) const {
  // The shortest rung that is at least as long; lengths never rise along the ladder. Several rungs may be equally long:
  // then the one stood on is meant, else the first of them.
  const std::vector<double>& lengths = ladder_.lengths(difficulty);
  int64_t rung = 0;
  while (rung < ladder_.last(difficulty) && lengths[static_cast<size_t>(rung) + 1] >= length) ++rung;
  const double own = lengths[static_cast<size_t>(rung)];
  if (lengths[static_cast<size_t>(stand)] == own) return stand;
  return std::find(lengths.begin(), lengths.end(), own) - lengths.begin();
}

void CompressionController::observe(const std::vector<RolloutGroup>& groups) {
  std::map<int64_t, int64_t> seen;
  for (const RolloutGroup& group : groups)
    seen[group.problem.difficulty] += static_cast<int64_t>(group.rollouts.size());
  for (auto& [difficulty, state] : states_) {
    const double keep = std::max(0.0, 1 - static_cast<double>(seen[difficulty]) / kMemory);
    const auto fade = [&](Tally& t) { t.count *= keep, t.correct *= keep; };
    fade(state.overall);
    for (Tally& t : state.by_rung) fade(t);
  }
  for (const RolloutGroup& group : groups) {
    State& state = states_.at(group.problem.difficulty);
    for (const Rollout& rollout : group.rollouts) {
      if (rollout.status != VerifyStatus::kOk) continue;
      const double length = static_cast<double>(rollout.length());
      const auto add = [](Tally& t, bool correct) { t.count += 1, t.correct += correct ? 1 : 0; };
      add(state.overall, rollout.correct);
      add(state.by_rung[static_cast<size_t>(rung_of(group.problem.difficulty, state.rung, length))], rollout.correct);
    }
  }
  for (auto& [difficulty, state] : states_) {
    if (state.overall.count >= kEvidence) state.reference = std::max(state.reference, state.overall.rate());
    back_off(state);
  }
  // Down: the shortest rung that all have mastered.
  int64_t rung = ladder_.count() - 1;
  while (rung > 0 && !mastered(rung)) --rung;
  promote(rung);
}

bool CompressionController::mastered(int64_t rung) const {
  return std::all_of(states_.begin(), states_.end(), [&](const auto& entry) {
    const auto& [difficulty, state] = entry;
    const int64_t target = std::min(rung, ladder_.last(difficulty));
    const Tally& tally = state.by_rung[static_cast<size_t>(target)];
    return limit_at(difficulty, target) >= limit_at(difficulty, state.rung) ||
           (tally.count >= kEvidence && tally.rate() >= state.reference - kTolerance);
  });
}

void CompressionController::back_off(State& state) {
  const Tally& here = state.by_rung[static_cast<size_t>(state.rung)];
  if (state.rung == 0 || here.count < kEvidence || here.rate() >= state.reference - kFloor) return;
  --state.rung;
  ++backoffs_;
}

double CompressionController::pressure() const {
  double total = 0;
  for (const auto& [difficulty, state] : states_) {
    const std::vector<double>& lengths = ladder_.lengths(difficulty);
    total += 1 - lengths[static_cast<size_t>(state.rung)] / lengths[0];
  }
  return total / static_cast<double>(states_.size());
}

nlohmann::json CompressionController::state() const {
  nlohmann::json out = {{"backoffs", backoffs_}, {"difficulties", nlohmann::json::array()}};
  const auto tally = [](const Tally& t) { return nlohmann::json{t.count, t.correct}; };
  for (const auto& [difficulty, s] : states_) {
    nlohmann::json rungs = nlohmann::json::array();
    for (const Tally& t : s.by_rung) rungs.push_back(tally(t));
    out["difficulties"].push_back({{"difficulty", difficulty},
                                   {"rung", s.rung},
                                   {"reference", s.reference},
                                   {"overall", tally(s.overall)},
                                   {"by_rung", rungs}});
  }
  return out;
}

void CompressionController::restore(const nlohmann::json& state) {
  const auto tally = [](const nlohmann::json& j) { return Tally{j.at(0), j.at(1)}; };
  backoffs_ = state.at("backoffs");
  for (const nlohmann::json& j : state.at("difficulties")) {
    const int64_t difficulty = j.at("difficulty");
    if (states_.count(difficulty) == 0) {
      throw std::runtime_error(
          fmt::format("the saved limits name the difficulty {}, which the task of this run does not have", difficulty));
    }
    State& s = states_.at(difficulty);
    s.rung = j.at("rung");
    s.reference = j.at("reference");
    s.overall = tally(j.at("overall"));
    for (size_t r = 0; r < s.by_rung.size(); ++r) s.by_rung[r] = tally(j.at("by_rung").at(r));
  }
}

}  // namespace terse::rl
