// The penalties and their table. A penalty only returns the share of its reward that a correct rollout keeps. shape()
// handles wrong and left-out rollouts for all penalties, so that none can reward a wrong answer for being short.
#include "rl/compression/length_penalty.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <stdexcept>

namespace terse::rl {
namespace {

void require(bool ok, const std::string& message) {
  if (!ok) throw std::invalid_argument("length penalty: " + message);
}

void check_sizes(const PenaltyInput& in) {
  const size_t rollouts = in.lengths.size();
  require(
      in.correct.size() == rollouts && in.score.size() == rollouts && in.finish.size() == rollouts &&
          in.status.size() == rollouts,
      fmt::format("got {} lengths, {} outcomes, {} scores, {} finish reasons and {} statuses; expected the same number "
                  "of each",
                  rollouts, in.correct.size(), in.score.size(), in.finish.size(), in.status.size()));
}

// `kept(i)` returns the share, 0..1, of its reward that the correct rollout i keeps.
template <typename Kept>
ShapedRewards shape(const PenaltyInput& in, Kept kept) {
  const size_t rollouts = in.lengths.size();
  ShapedRewards out{std::vector<double>(rollouts), std::vector<double>(rollouts), std::vector<double>(rollouts),
                    std::vector<bool>(rollouts)};
  for (size_t i = 0; i < rollouts; ++i) {
    out.counted[i] = in.status[i] == VerifyStatus::kOk;
    if (!out.counted[i] || !in.correct[i]) continue;
    out.outcome[i] = in.score[i];
    out.reward[i] = in.score[i] * kept(i);
    out.length[i] = out.reward[i] - out.outcome[i];
  }
  return out;
}

ShapedRewards none(const PenaltyInput& in) {
  check_sizes(in);
  return shape(in, [](size_t) { return 1.0; });
}

// ThinkPrune, arXiv 2504.01296, and DLER, arXiv 2510.15110: a correct answer counts only within the limit. A response
// that was cut gets 0, even if its verifier accepted it, because it is not finished. `truncation` and `adaptive` differ
// in where the limit comes from.
ShapedRewards within_limit(const PenaltyInput& in) {
  check_sizes(in);
  require(in.limit > 0, fmt::format("limit is {}; expected a number of tokens above 0", in.limit));
  return shape(in, [&](size_t i) {
    const bool within = in.finish[i] == FinishReason::kStop && static_cast<double>(in.lengths[i]) <= in.limit;
    return within ? 1.0 : 0.0;
  });
}

// Arora & Zanette, arXiv 2502.04463: 1 - strength * sigmoid((length - mean) / std), with mean and unbiased standard
// deviation over the group's correct rollouts. Lengths that are all equal (or a single correct rollout) have a z-score
// of 0.
ShapedRewards group_relative(const PenaltyInput& in) {
  check_sizes(in);
  require(in.strength >= 0 && in.strength <= 1, fmt::format("strength is {}; expected 0 to 1", in.strength));
  double count = 0, sum = 0, squares = 0;
  const auto each_correct = [&](auto&& use) {
    for (size_t i = 0; i < in.lengths.size(); ++i) {
      if (in.correct[i] && in.status[i] == VerifyStatus::kOk) use(static_cast<double>(in.lengths[i]));
    }
  };
  each_correct([&](double length) { ++count, sum += length; });
  const double mean = count > 0 ? sum / count : 0;
  each_correct([&](double length) { squares += (length - mean) * (length - mean); });
  // Lengths are integers, so the sum of squares is either rounding error or far above 1e-6.
  const double deviation = squares > 1e-6 ? std::sqrt(squares / (count - 1)) : 0;
  return shape(in, [&](size_t i) {
    const double z = deviation > 0 ? (static_cast<double>(in.lengths[i]) - mean) / deviation : 0;
    return 1.0 - in.strength / (1.0 + std::exp(-z));
  });
}

struct Entry {
  std::string_view name;
  LengthPenalty penalty;
};
constexpr Entry kPenalties[] = {
    {"none", none}, {"truncation", within_limit}, {"group_relative", group_relative}, {"adaptive", within_limit}};

}  // namespace

std::vector<std::string> penalty_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kPenalties) names.emplace_back(entry.name);
  return names;
}

LengthPenalty length_penalty(std::string_view name) {
  for (const Entry& entry : kPenalties) {
    if (entry.name == name) return entry.penalty;
  }
  throw std::invalid_argument(
      fmt::format("unknown length penalty '{}'; known: {}", name, fmt::join(penalty_names(), ", ")));
}

PenaltyInput penalty_input(const RolloutGroup& group) {
  PenaltyInput in;
  for (const Rollout& rollout : group.rollouts) {
    in.lengths.push_back(rollout.length());
    in.correct.push_back(rollout.correct);
    in.score.push_back(rollout.score);
    in.finish.push_back(rollout.finish);
    in.status.push_back(rollout.status);
  }
  return in;
}

void store_rewards(const ShapedRewards& shaped, RolloutGroup& group) {
  require(shaped.reward.size() == group.rollouts.size(),
          fmt::format("got {} rewards for a group of {} rollouts; expected one for each rollout", shaped.reward.size(),
                      group.rollouts.size()));
  for (size_t i = 0; i < shaped.reward.size(); ++i) group.rollouts[i].reward = shaped.reward[i];
}

}  // namespace terse::rl
