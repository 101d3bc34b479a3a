// All groups share the mutex of their RankStatus, so a report describes all groups at one moment.
#include "trainer/parallel/watchdog/rank_status.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/clock.h"

namespace terse::trainer {

namespace {

constexpr double kMoment = 1;  // seconds; how long a resumed process counts as making progress, see report()

}  // namespace

void RankStatus::enter(std::string_view phase) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
}

std::string RankStatus::phase() const {
  const std::lock_guard lock(mutex_);
  return phase_;
}

std::shared_ptr<RankStatus::GroupStatus> RankStatus::add_group(std::string name) {
  const std::lock_guard lock(mutex_);
  groups_.remove_if([](const std::weak_ptr<GroupStatus>& each) { return each.expired(); });
  auto group = std::make_shared<GroupStatus>(*this, std::move(name));
  groups_.push_back(group);
  return group;
}

void RankStatus::wait_for_messages(const std::vector<int64_t>& ranks) {
  const std::lock_guard lock(mutex_);
  waits_for_messages_ = !ranks.empty();
  if (waits_for_messages_)
    senders_ = ranks;
  else
    messages_waited_ = Clock::now();
}

void RankStatus::record_resume() {
  const std::lock_guard lock(mutex_);
  resumed_ = Clock::now();
  for (const std::weak_ptr<GroupStatus>& each : groups_)
    if (const std::shared_ptr<GroupStatus> group = each.lock()) group->alive_ = Clock::now();
}

void RankStatus::GroupStatus::begin(const OpFingerprint& op) {
  const std::lock_guard lock(rank_.mutex_);
  op_ = op;
  set_state(State::kWaiting);
}

void RankStatus::GroupStatus::wait_for(const std::vector<int64_t>& ranks) {
  const std::lock_guard lock(rank_.mutex_);
  awaited_ = ranks;
}

void RankStatus::GroupStatus::record_progress() {
  const std::lock_guard lock(rank_.mutex_);
  set_state(State::kRunning);
}

void RankStatus::GroupStatus::reset_timeout() {
  const std::lock_guard lock(rank_.mutex_);
  alive_ = Clock::now();
}

void RankStatus::GroupStatus::finish() {
  const std::lock_guard lock(rank_.mutex_);
  set_state(State::kDone);
}

void RankStatus::GroupStatus::set_state(State state) {
  state_ = state;
  awaited_.clear();
  since_ = alive_ = Clock::now();
}

std::string RankStatus::summary_of(const GroupStatus& group) const {
  std::string text =
      fmt::format("operation {} of group \"{}\", {}", group.op_.number, group.name_, describe(group.op_));
  const double seconds = seconds_since(group.since_);
  if (group.state_ == GroupStatus::State::kDone) return text + fmt::format(", finished {:.1f} s ago", seconds);
  text += group.state_ == GroupStatus::State::kRunning
              ? fmt::format(", whose data last moved {:.1f} s ago", seconds)
              : fmt::format(", where it has been waiting for {:.1f} s", seconds);
  if (!group.awaited_.empty())
    text += fmt::format(" ({} rank{} {})", group.state_ == GroupStatus::State::kRunning ? "with" : "for",
                        group.awaited_.size() == 1 ? "" : "s", fmt::join(group.awaited_, ", "));
  return text;
}

RankStatus::Report RankStatus::report(double recent) const {
  const std::lock_guard lock(mutex_);
  Report report;
  report.making_progress = resumed_ && seconds_since(*resumed_) < kMoment;
  std::shared_ptr<GroupStatus> last;
  std::vector<std::string> open;
  for (const std::weak_ptr<GroupStatus>& each : groups_) {
    const std::shared_ptr<GroupStatus> group = each.lock();
    if (!group || group->state_ == GroupStatus::State::kNone) continue;
    if (group->state_ == GroupStatus::State::kRunning && seconds_since(group->since_) <= recent)
      report.making_progress = true;
    report.awaited.insert(report.awaited.end(), group->awaited_.begin(), group->awaited_.end());
    if (group->state_ != GroupStatus::State::kDone)
      open.push_back(summary_of(*group));
    else if (!last || group->since_ > last->since_)
      last = group;
  }
  // The main thread also counts as waiting while it briefly handles one message before it waits for the next.
  if (waits_for_messages_ || (!senders_.empty() && seconds_since(messages_waited_) < kMoment))
    report.awaited.insert(report.awaited.end(), senders_.begin(), senders_.end());
  report.text = fmt::format("in phase \"{}\"; ", phase_);
  if (!open.empty())
    report.text += fmt::format("it is at {}", fmt::join(open, "; and at "));
  else if (last)
    report.text += "its last operation is " + summary_of(*last);
  else
    report.text += "it has not reached any operation yet";
  return report;
}

bool RankStatus::stuck(double seconds) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(groups_.begin(), groups_.end(), [&](const std::weak_ptr<GroupStatus>& each) {
    const std::shared_ptr<GroupStatus> group = each.lock();
    return group && (group->state_ == GroupStatus::State::kWaiting || group->state_ == GroupStatus::State::kRunning) &&
           seconds_since(group->alive_) > seconds;
  });
}

}  // namespace terse::trainer
