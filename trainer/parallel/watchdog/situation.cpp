// All lines share the mutex of their Situation, so a report describes all groups at one moment.
#include "trainer/parallel/watchdog/situation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/clock.h"

namespace terse::trainer {

namespace {

constexpr double kMoment = 1;  // seconds; how long a resumed process counts as moving, see report()

}  // namespace

void Situation::enter(std::string_view phase) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
}

std::string Situation::phase() const {
  const std::lock_guard lock(mutex_);
  return phase_;
}

std::shared_ptr<Situation::Line> Situation::add(std::string group) {
  const std::lock_guard lock(mutex_);
  lines_.remove_if([](const std::weak_ptr<Line>& line) { return line.expired(); });
  auto line = std::make_shared<Line>(*this, std::move(group));
  lines_.push_back(line);
  return line;
}

void Situation::wait_for_letter(const std::vector<int64_t>& ranks) {
  const std::lock_guard lock(mutex_);
  waits_for_letter_ = !ranks.empty();
  if (waits_for_letter_)
    writers_ = ranks;
  else
    letter_waited_ = Clock::now();
}

void Situation::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = Clock::now();
  for (const std::weak_ptr<Line>& each : lines_)
    if (const std::shared_ptr<Line> line = each.lock()) line->alive_ = Clock::now();
}

void Situation::Line::come(const Arrival& call) {
  const std::lock_guard lock(all_.mutex_);
  call_ = call;
  become(State::kWaiting);
}

void Situation::Line::wait_for(const std::vector<int64_t>& ranks) {
  const std::lock_guard lock(all_.mutex_);
  awaited_ = ranks;
}

void Situation::Line::move() {
  const std::lock_guard lock(all_.mutex_);
  become(State::kMoving);
}

void Situation::Line::stay() {
  const std::lock_guard lock(all_.mutex_);
  alive_ = Clock::now();
}

void Situation::Line::finish() {
  const std::lock_guard lock(all_.mutex_);
  become(State::kDone);
}

void Situation::Line::become(State state) {
  state_ = state;
  awaited_.clear();
  since_ = alive_ = Clock::now();
}

std::string Situation::tell(const Line& line) const {
  std::string text =
      fmt::format("operation {} of group \"{}\", {}", line.call_.number, line.group_, describe(line.call_));
  const double seconds = seconds_since(line.since_);
  if (line.state_ == Line::State::kDone) return text + fmt::format(", finished {:.1f} s ago", seconds);
  text += line.state_ == Line::State::kMoving ? fmt::format(", whose data last moved {:.1f} s ago", seconds)
                                              : fmt::format(", where it has been waiting for {:.1f} s", seconds);
  if (!line.awaited_.empty())
    text += fmt::format(" ({} rank{} {})", line.state_ == Line::State::kMoving ? "with" : "for",
                        line.awaited_.size() == 1 ? "" : "s", fmt::join(line.awaited_, ", "));
  return text;
}

Situation::Report Situation::report(double recent) const {
  const std::lock_guard lock(mutex_);
  Report report;
  report.moving = woken_ && seconds_since(*woken_) < kMoment;
  std::shared_ptr<Line> last;
  std::vector<std::string> open;
  for (const std::weak_ptr<Line>& each : lines_) {
    const std::shared_ptr<Line> line = each.lock();
    if (!line || line->state_ == Line::State::kNone) continue;
    if (line->state_ == Line::State::kMoving && seconds_since(line->since_) <= recent) report.moving = true;
    report.awaited.insert(report.awaited.end(), line->awaited_.begin(), line->awaited_.end());
    if (line->state_ != Line::State::kDone)
      open.push_back(tell(*line));
    else if (!last || line->since_ > last->since_)
      last = line;
  }
  // The main thread also counts as waiting while it briefly handles one message before it waits for the next.
  if (waits_for_letter_ || (!writers_.empty() && seconds_since(letter_waited_) < kMoment))
    report.awaited.insert(report.awaited.end(), writers_.begin(), writers_.end());
  report.text = fmt::format("in phase \"{}\"; ", phase_);
  if (!open.empty())
    report.text += fmt::format("it is at {}", fmt::join(open, "; and at "));
  else if (last)
    report.text += "its last operation is " + tell(*last);
  else
    report.text += "it has not come to any operation yet";
  return report;
}

bool Situation::stuck(double seconds) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(lines_.begin(), lines_.end(), [&](const std::weak_ptr<Line>& each) {
    const std::shared_ptr<Line> line = each.lock();
    return line && (line->state_ == Line::State::kWaiting || line->state_ == Line::State::kMoving) &&
           seconds_since(line->alive_) > seconds;
  });
}

}  // namespace terse::trainer
