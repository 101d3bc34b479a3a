// The walk down the ladder; see the header.
#include "rl/compression_controller.h"

#include <algorithm>
#include <limits>

namespace terse::rl {

namespace {

constexpr double kMemory = 300;   // rollouts of a difficulty that a tally remembers
constexpr double kEvidence = 60;  // rollouts that a tally must hold before it decides anything
constexpr double kTolerance =
    0.02;  // accuracy below the reference that counts as no loss: about two standard errors of a tally
constexpr double kFloor =
    0.10;  // accuracy at the limit's own length so far below the reference moves a difficulty back up
constexpr double kConsolidate = 0.8;  // share of the stage after which no shorter rung is practised
constexpr double kPatience =
    0.4;  // share of the stage for which one rung is practised before it counts as out of reach
constexpr double kSettling = 4 * kMemory;  // rollouts of a difficulty on a settled rung before its floor is looked at

}  // namespace

CompressionController::CompressionController(const Task& task) : ladder_(task) {
  for (int64_t d : task.difficulties()) {
    states_[d].by_rung.resize(static_cast<size_t>(ladder_.count()));
  }
}

double CompressionController::limit(int64_t difficulty) const {
  const State& state = states_.at(difficulty);
  if (state.overall.count == 0) return std::numeric_limits<double>::infinity();
  return ladder_.lengths(difficulty)[static_cast<size_t>(state.rung)];
}

bool CompressionController::settled(double progress) const {
  return progress >= kConsolidate || progress - frontier_since_ >= kPatience;
}

int64_t CompressionController::practice_rung(int64_t difficulty, double progress) const {
  const int64_t stand = states_.at(difficulty).rung;
  return settled(progress) ? stand : std::min(std::max(stand, frontier_), ladder_.last(difficulty));
}

// All difficulties practise the same rung: they share one policy, and two ways of thinking at once are harder to learn
// than one.
void CompressionController::advance_frontier(double progress) {
  int64_t frontier = ladder_.count();
  for (const auto& [difficulty, state] : states_) {
    if (state.rung < ladder_.last(difficulty)) frontier = std::min(frontier, state.rung + 1);
  }
  if (frontier <= frontier_) return;
  frontier_ = frontier;
  frontier_since_ = progress;
}

int64_t CompressionController::rung_of(int64_t difficulty, double length) const {
  // The last rung that is at least as long; lengths never rise along the ladder.
  const std::vector<double>& lengths = ladder_.lengths(difficulty);
  int64_t rung = 0;
  while (rung < ladder_.last(difficulty) && lengths[static_cast<size_t>(rung) + 1] >= length) ++rung;
  return rung;
}

void CompressionController::observe(const std::vector<RolloutGroup>& groups, double progress) {
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
      if (settled(progress)) state.settled_rollouts += 1;
      const double length = static_cast<double>(rollout.length());
      const auto add = [](Tally& t, bool correct) { t.count += 1, t.correct += correct ? 1 : 0; };
      add(state.overall, rollout.correct);
      add(state.by_rung[static_cast<size_t>(rung_of(group.problem.difficulty, length))], rollout.correct);
    }
  }
  for (auto& [difficulty, state] : states_) move(difficulty, state, progress);
  if (!settled(progress)) advance_frontier(progress);
}

void CompressionController::move(int64_t difficulty, State& state, double progress) {
  if (state.overall.count < kEvidence) return;
  state.reference = std::max(state.reference, state.overall.rate());
  // Down: the shortest rung that is mastered. Not once settled: there is no time left to find out what it costs.
  for (int64_t rung = ladder_.last(difficulty); !settled(progress) && rung > state.rung; --rung) {
    const Tally& tally = state.by_rung[static_cast<size_t>(rung)];
    if (tally.count < kEvidence || tally.rate() < state.reference - kTolerance) continue;
    state.rung = rung;
    return;
  }
  // Up: responses of this very length fail although nothing else has been practised for long. While a shorter rung is
  // practised its failures are the price of learning it, and say nothing about the limit.
  const Tally& here = state.by_rung[static_cast<size_t>(state.rung)];
  if (state.settled_rollouts < kSettling || state.rung == 0 || here.count < kEvidence) return;
  if (here.rate() >= state.reference - kFloor) return;
  --state.rung;
  ++backoffs_;
  state.settled_rollouts = 0;
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
  nlohmann::json out = {{"backoffs", backoffs_},
                        {"frontier", frontier_},
                        {"frontier_since", frontier_since_},
                        {"difficulties", nlohmann::json::array()}};
  const auto tally = [](const Tally& t) { return nlohmann::json{t.count, t.correct}; };
  for (const auto& [difficulty, s] : states_) {
    nlohmann::json rungs = nlohmann::json::array();
    for (const Tally& t : s.by_rung) rungs.push_back(tally(t));
    out["difficulties"].push_back({{"difficulty", difficulty},
                                   {"rung", s.rung},
                                   {"reference", s.reference},
                                   {"overall", tally(s.overall)},
                                   {"by_rung", rungs},
                                   {"settled_rollouts", s.settled_rollouts}});
  }
  return out;
}

void CompressionController::restore(const nlohmann::json& state) {
  const auto tally = [](const nlohmann::json& j) { return Tally{j.at(0), j.at(1)}; };
  backoffs_ = state.at("backoffs");
  frontier_ = state.at("frontier");
  frontier_since_ = state.at("frontier_since");
  for (const nlohmann::json& j : state.at("difficulties")) {
    State& s = states_.at(j.at("difficulty").get<int64_t>());
    s.rung = j.at("rung");
    s.reference = j.at("reference");
    s.overall = tally(j.at("overall"));
    s.settled_rollouts = j.at("settled_rollouts");
    for (size_t r = 0; r < s.by_rung.size(); ++r) s.by_rung[r] = tally(j.at("by_rung").at(r));
  }
}

}  // namespace terse::rl
