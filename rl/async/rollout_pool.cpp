// A ticket stands for one attempt of one rank at one problem. A report whose ticket is unknown is a heartbeat or
// belongs to a cancelled attempt, and is discarded.
#include "rl/async/rollout_pool.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/clock.h"
#include "base/wire.h"
#include "rl/rollout/rollout_codec.h"
#include "trainer/mean.h"

namespace terse::rl {

namespace {

constexpr double kLookEvery = 0.2;  // seconds between checks for slow groups

}  // namespace

RolloutPool::RolloutPool(SplitWorld& split, trainer::Session& session, const TokenizedTask& task)
    : split_(split),
      session_(session),
      task_(task),
      config_(session.config().rl),
      sender_(
          session.model().params(), *split.weights,
          transfer_dtype(session.config().parallel, session.model().spec().bf16, session.model().device().is_cuda())),
      limit_(config_.group_deadline) {
  for (int64_t i = 0; i < split.samplers; ++i) samplers_[split.learners + i] = {};
}

void RolloutPool::send(int64_t rank, const Instruction& instruction) {
  split_.whole.messages().send(rank, encode(instruction));
}

// Skipping is harmless while the samplers' weights are recent enough: newer weights follow at a later step. Without
// this bound, their groups would become too old to be used. The first rank decides, because a transfer ends at
// different moments on different ranks.
bool RolloutPool::may_skip_transfer(int64_t version) {
  const bool useful = sent_version_ < 0 || version - sent_version_ >= std::max<int64_t>(config_.max_staleness, 1);
  if (useful) return false;
  torch::Tensor busy = torch::full({1}, sender_.busy() ? 1 : 0, torch::kInt64).to(session_.model().device());
  split_.part->group(session_.model().device()).broadcast("transfer is in progress", busy, 0).wait();
  return busy.item<int64_t>() != 0;
}

void RolloutPool::publish(int64_t version) {
  const auto start = Clock::now();
  session_.world().enter("weights");
  if (!may_skip_transfer(version)) {
    if (leads()) await_transfer();
    transfer_ = sender_.finish();
    resent_ += transfer_.resent;
    if (leads())
      for (const auto& [rank, sampler] : samplers_)
        send(rank, {.kind = Instruction::Kind::kWeights, .version = version});
    sender_.start(version);
    sent_version_ = version;
  }
  sync_seconds_ = seconds_since(start);
}

// A slow rank delays the transfer as well as its groups. So the first rank goes on looking for slow groups here, or
// nobody would learn which rank the learners wait for.
void RolloutPool::await_transfer() {
  while (!sender_.idle_within(kLookEvery)) {
    handle_messages(split_.whole.messages().take());
    regenerate_slow_groups();
  }
}

void RolloutPool::order(std::vector<Problem> problems) {
  for (Problem& problem : problems) {
    const int64_t index = problem.index;
    ordered_.emplace(index, std::move(problem));
    if (leads()) assign(index);
  }
}

void RolloutPool::assign(int64_t problem) {
  // Picks the rank with the fewest attempts among those that have no attempt at this problem.
  std::set<int64_t> taken;
  for (const auto& [ticket, attempt] : attempts_)
    if (attempt.problem == problem) taken.insert(attempt.rank);
  auto best = samplers_.end();
  for (auto each = samplers_.begin(); each != samplers_.end(); ++each) {
    if (taken.count(each->first) > 0) continue;
    if (best == samplers_.end() || each->second.under_way < best->second.under_way) best = each;
  }
  if (best == samplers_.end()) return;
  attempts_[next_ticket_] = {problem, best->first, Clock::now()};
  ++best->second.under_way;
  send(best->first, {.kind = Instruction::Kind::kGenerate,
                     .version = config_.max_staleness == 0 ? sent_version_ : 0,
                     .ticket = next_ticket_,
                     .problem = problem});
  ++next_ticket_;
}

void RolloutPool::cancel(int64_t problem) {
  std::erase_if(attempts_, [&](const auto& entry) {
    const auto& [ticket, attempt] = entry;
    if (attempt.problem != problem) return false;
    send(attempt.rank, {.kind = Instruction::Kind::kCancel, .ticket = ticket});
    --samplers_.at(attempt.rank).under_way;
    return true;
  });
}

void RolloutPool::drop() {
  for (const auto& [index, problem] : ordered_) cancel(index);
  ordered_.clear();
  arrived_.clear();
}

std::vector<RolloutGroup> RolloutPool::collect(bool all) {
  session_.world().enter("rollout");
  std::vector<RolloutGroup> groups;
  WireWriter writer;
  if (leads()) {
    groups = wait(all);
    writer.value(stopped_);
    for (const RolloutGroup& group : groups) {
      writer.value(group.problem.index);
      writer.sequence(encode_rollouts(group.rollouts));
    }
  }
  if (split_.learners > 1) {
    const std::string bytes =
        all_gather_bytes(split_.part->group(session_.model().device()), "rollouts", writer.take()).front();
    WireReader reader(bytes);
    reader.value(stopped_);
    while (!leads() && !reader.done()) {
      int64_t index = 0;
      std::string rollouts;
      reader.value(index);
      reader.sequence(rollouts);
      groups.push_back({ordered_.at(index), decode_rollouts(rollouts)});
    }
  }
  if (stopped_) throw trainer::StopRequested();
  for (const RolloutGroup& group : groups) ordered_.erase(group.problem.index);
  return groups;
}

std::vector<RolloutGroup> RolloutPool::wait(bool all) {
  trainer::MessageChannel& channel = split_.whole.messages();
  while (arrived_.empty() || (all && arrived_.size() < ordered_.size())) {
    stopped_ = session_.signals().stop_requested();
    if (stopped_) return {};
    handle_messages(channel.wait({busy_samplers(), "a group of rollouts", /*answering_is_enough=*/false}, kLookEvery));
    regenerate_slow_groups();
  }
  std::vector<RolloutGroup> groups = std::exchange(arrived_, {});
  std::sort(groups.begin(), groups.end(),
            [](const RolloutGroup& a, const RolloutGroup& b) { return a.problem.index < b.problem.index; });
  return groups;
}

// Takes in `message` and all others that have arrived, before slow groups are regenerated: some arrived while this rank
// was busy.
void RolloutPool::handle_messages(std::optional<trainer::MessageChannel::Message> message) {
  for (; message; message = split_.whole.messages().take()) {
    Report report = decode_report(message->bytes);
    const auto found = attempts_.find(report.ticket);
    if (found == attempts_.end()) continue;  // a heartbeat, or a cancelled attempt
    const Attempt attempt = found->second;
    attempts_.erase(found);
    Sampler& sampler = samplers_.at(attempt.rank);
    --sampler.under_way;
    ++sampler.finished;
    limit_.add(seconds_since(attempt.since));
    cancel(attempt.problem);
    arrived_.push_back({ordered_.at(attempt.problem), std::move(report.rollouts)});
  }
}

void RolloutPool::regenerate_slow_groups() {
  const std::optional<double> limit = limit_.seconds();
  if (samplers_.size() == 1 || !limit) return;
  std::vector<int64_t> again;
  for (auto& [ticket, attempt] : attempts_) {
    const double age = seconds_since(attempt.since);
    if (attempt.slow || age <= *limit) continue;
    attempt.slow = true;
    again.push_back(attempt.problem);
    Sampler& sampler = samplers_.at(attempt.rank);
    ++sampler.slow;
    // Logs only the 1st, 2nd, 4th, 8th, .. time, so that a slow rank does not flood the log.
    if ((sampler.slow & (sampler.slow - 1)) == 0) {
      session_.metrics().say(fmt::format(
          "{} is slow: it has been generating the group of problem {} for {:.1f} s; usually a group takes at "
          "most {:.1f} s; another rank now generates it as well ({} groups so far)",
          split_.whole.messages().name(attempt.rank), attempt.problem, age, *limit, sampler.slow));
    }
  }
  regenerated_ += static_cast<int64_t>(again.size());
  for (const int64_t problem : again) assign(problem);
}

std::vector<int64_t> RolloutPool::busy_samplers() const {
  std::vector<int64_t> ranks;
  for (const auto& [rank, sampler] : samplers_)
    if (sampler.under_way > 0) ranks.push_back(rank);
  return ranks;
}

trainer::Metrics RolloutPool::metrics() const {
  const auto bytes = static_cast<double>(transfer_.bytes);
  trainer::Metrics metrics = {{"time/sync", sync_seconds_},
                              {"sync/resent", static_cast<double>(resent_)},
                              {"pool/given_again", static_cast<double>(regenerated_)},
                              {"pool/outstanding", static_cast<double>(ordered_.size())}};
  if (transfer_.version >= 0)  // a transfer has ended
    metrics.merge(
        trainer::present({{"sync/bytes", bytes}, {"sync/bytes_per_s", trainer::mean_of(bytes, transfer_.seconds)}}));
  return metrics;
}

void RolloutPool::end(const std::string& text) {
  sender_.finish();
  if (!leads()) return;
  for (const auto& [rank, sampler] : samplers_) {
    send(rank, {.kind = Instruction::Kind::kEnd, .text = text});
    if (sampler.finished > 0)
      session_.metrics().say(fmt::format("{} generated {} groups; {} of its attempts were slow",
                                         split_.whole.messages().name(rank), sampler.finished, sampler.slow));
  }
}

}  // namespace terse::rl
