// The thread of a group polls MPI (Backoff) instead of blocking in it. So it notices that a deadline has passed, and it
// finds out which messages have arrived.
#include "trainer/parallel/collectives/exchange.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

#include "trainer/parallel/watchdog/init_watchdog.h"
#include "trainer/parallel/watchdog/waited.h"

namespace terse::trainer {

namespace {

constexpr int kFingerprintTag = 1, kDataTag = 2;
constexpr long kDataNap = 20;  // microseconds; without single-copy transport, data moves only during a poll
constexpr double kGrace = 1;  // seconds; after it, a waiting rank registers whom it waits for and compares fingerprints

}  // namespace

Exchange::Exchange(ProcessGroup& group) : group_(group), requests_(group.comm_) {}
int64_t Exchange::rank() const {
  return group_.rank();
}
int64_t Exchange::size() const {
  return group_.size();
}
std::vector<std::byte>& Exchange::scratch() {
  return group_.scratch_;
}

void Exchange::send(int64_t peer, const void* data, int64_t bytes) {
  requests_.send(peer, kDataTag, data, bytes);
}
void Exchange::receive(int64_t peer, void* data, int64_t bytes) {
  requests_.receive(peer, kDataTag, data, bytes);
}

void Exchange::wait() {
  Waited waited;
  Backoff backoff(kDataNap);
  bool registered = false;
  for (int64_t left = requests_.left(); !requests_.test(); backoff.pause()) {
    if (requests_.left() < left) {
      left = requests_.left();
      waited.restart();
      group_.status_->record_progress();
      backoff.reset();
      registered = false;
    } else if (!registered && waited.seconds() > kGrace) {
      group_.status_->wait_for(group_.in_world(requests_.peers()));
      registered = true;
    } else if (waited.seconds() > group_.watchdog_.deadline()) {
      group_.handle_timeout(requests_.peers(), "has not transferred the data of");
      waited.restart();
    }
  }
  group_.status_->record_progress();
}

void Exchange::wait_until(const std::function<bool()>& done, const char* what) {
  std::vector<int64_t> all(group_.size());
  std::iota(all.begin(), all.end(), 0);
  Waited waited;
  bool registered = false;
  for (Backoff backoff; !done(); backoff.pause()) {
    const double seconds = waited.seconds();
    if (!registered && seconds > kGrace) group_.status_->wait_for(group_.members_);
    registered = seconds > kGrace;
    if (seconds <= group_.watchdog_.deadline()) continue;
    group_.handle_timeout(all, what);
    waited.restart();
  }
}

void Exchange::fail(const std::string& problem) {
  const OpFingerprint& mine = group_.sent_[rank()];
  group_.watchdog_.abort(
      kExitHang, fmt::format("{} in phase \"{}\" failed in operation {} of group \"{}\", {}: {}", group_.names_[rank()],
                             mine.phase, mine.number, group_.name_, describe(mine), problem));
}

std::shared_ptr<ProcessGroup> ProcessGroup::create(mpi::Comm comm, std::string name, std::vector<int64_t> members,
                                                   Watchdog& watchdog) {
  std::shared_ptr<ProcessGroup> group(new ProcessGroup(std::move(comm), std::move(name), std::move(members), watchdog));
  group->thread_ = std::thread([group] { group->serve(); });
  return group;
}

ProcessGroup::ProcessGroup(mpi::Comm comm, std::string name, std::vector<int64_t> members, Watchdog& watchdog)
    : comm_(std::move(comm)),
      name_(std::move(name)),
      members_(std::move(members)),
      watchdog_(watchdog),
      sent_(members_.size()),
      received_(members_.size()),
      previous_(members_.size()),
      status_(watchdog.status().add_group(name_)) {
  for (const int64_t member : members_) names_.push_back(watchdog_.name(member));
}

std::shared_future<void> ProcessGroup::run(CollectiveOp op, Body body) {
  Job job{.op = std::move(op), .body = std::move(body), .done = {}};
  std::shared_future<void> done = job.done.get_future().share();
  {
    const std::lock_guard lock(mutex_);
    if (closing_)
      throw std::logic_error(
          fmt::format("{} \"{}\" was called after group \"{}\" was closed", name_of(job.op.kind), job.op.name, name_));
    queue_.push_back(std::move(job));
  }
  changed_.notify_one();
  return done;
}

void ProcessGroup::serve() {
  prctl(PR_SET_TIMERSLACK, 1000UL);  // with the default slack, the naps of Backoff would be much longer
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return closing_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    try {
      exchange_fingerprints(job.op);
      if (job.body) {
        Exchange exchange(*this);
        job.body(exchange);
      }
      status_->finish();
      job.op = {};  // releases the tensors before the caller continues
      job.body = {};
      job.done.set_value();
    } catch (...) {
      job.done.set_exception(std::current_exception());
    }
  }
}

void ProcessGroup::exchange_fingerprints(const CollectiveOp& op) {
  const OpFingerprint mine = fingerprint_of(op, ++number_, watchdog_.status().phase());
  status_->begin(mine);
  mpi::Requests receives(comm_), sends(comm_);
  for (int64_t step = 0; step < size(); ++step) {
    const int64_t peer = (rank() + step) % size();
    sent_[peer] = mine;
    set_peer_counts(sent_[peer], op, peer);
    if (peer == rank()) continue;
    received_[peer] = OpFingerprint();
    receives.receive(peer, kFingerprintTag, &received_[peer], sizeof(OpFingerprint));
    sends.send(peer, kFingerprintTag, &sent_[peer], sizeof(OpFingerprint));
  }
  Waited timer;
  int64_t awaited = -1;
  Backoff backoff;
  for (bool all_received = receives.test(); !(sends.test() && all_received);
       all_received = receives.test(), backoff.pause()) {
    const double waited = timer.seconds();
    if (waited > kGrace) {
      check_fingerprints();
      if (receives.left() != awaited) {
        awaited = receives.left();
        status_->wait_for(in_world(receives.peers()));
      }
    }
    if (waited > watchdog_.deadline()) {
      handle_timeout(all_received ? sends.peers() : receives.peers(), "has not reached");
      timer.restart();
    }
  }
  check_fingerprints();
  previous_ = received_;
  status_->record_progress();
}

void ProcessGroup::check_fingerprints() {
  const std::string problem = describe_mismatch(name_, rank(), sent_, received_, names_);
  if (!problem.empty()) watchdog_.abort(kExitHang, problem);
}

std::vector<int64_t> ProcessGroup::in_world(std::vector<int64_t> ranks) const {
  for (int64_t& each : ranks) each = members_[each];
  return ranks;
}

// Called when these ranks of this group have exceeded the deadline. Ends the job when one of them is to blame.
// Otherwise it returns, and the caller waits for another deadline.
void ProcessGroup::handle_timeout(const std::vector<int64_t>& ranks, const char* what) {
  const std::map<int64_t, Watchdog::Answer> blamed = watchdog_.blame(in_world(ranks));
  std::string problem;
  for (const int64_t peer : ranks) {
    const auto found = blamed.find(members_[peer]);
    if (found == blamed.end()) continue;
    const Watchdog::Answer& answer = found->second;
    const OpFingerprint& mine = sent_[rank()];
    problem += fmt::format(
        "{}{} {} operation {} of group \"{}\", {}, for {} s (parallel.deadline): ", problem.empty() ? "" : " ",
        names_[peer], what, mine.number, name_, describe(mine), watchdog_.deadline());
    if (answer.received)
      problem += answer.text + ".";
    else if (const OpFingerprint& last = previous_[peer]; last.number == 0)
      problem += "it does not answer, so it is stopped or its machine is lost; it had not reached any operation.";
    else
      problem += fmt::format(
          "it does not answer, so it is stopped or its machine is lost; it was last seen in phase \"{}\" at operation "
          "{}, {}.",
          last.phase, last.number, describe(last));
  }
  if (!problem.empty()) watchdog_.abort(kExitHang, problem);
  status_->reset_timeout();
}

std::shared_ptr<ProcessGroup> ProcessGroup::split(std::string_view name, int64_t color, int64_t key) {
  check_color(name, color);
  std::shared_ptr<ProcessGroup> child;
  run({.kind = Kind::kSplit, .name = std::string(name)}, [&](Exchange& exchange) {
    std::vector<std::array<int64_t, 2>> wishes(size());
    wishes[rank()] = {color, key};
    for (int64_t peer = 0; peer < size(); ++peer) {
      if (peer == rank()) continue;
      exchange.send(peer, &wishes[rank()], sizeof wishes[peer]);
      exchange.receive(peer, &wishes[peer], sizeof wishes[peer]);
    }
    exchange.wait();
    std::set<int64_t> colors;
    std::vector<int64_t> peers;
    for (int64_t peer = 0; peer < size(); ++peer) {
      colors.insert(wishes[peer][0]);
      if (wishes[peer][0] == color) peers.push_back(peer);
    }
    std::stable_sort(peers.begin(), peers.end(), [&](int64_t a, int64_t b) { return wishes[a][1] < wishes[b][1]; });
    const InitWatchdog guard(fmt::format("MPI_Comm_split of group \"{}\"", name_), watchdog_.deadline());
    // MPI takes ints only, so it gets the positions of the color and of the key instead of their values.
    mpi::Comm comm = comm_.split(std::distance(colors.begin(), colors.find(color)),
                                 std::find(peers.begin(), peers.end(), rank()) - peers.begin());
    for (int64_t& peer : peers) peer = members_[peer];
    child = create(std::move(comm), fmt::format("{}/{}:{}", name_, name, color), std::move(peers), watchdog_);
  }).get();
  const std::lock_guard lock(mutex_);
  std::erase_if(children_, [](const std::weak_ptr<ProcessGroup>& each) { return each.expired(); });
  children_.push_back(child);
  return child;
}

void ProcessGroup::close() {
  std::vector<std::weak_ptr<ProcessGroup>> children;
  {
    const std::lock_guard lock(mutex_);
    children = std::move(children_);
    children_.clear();
  }
  for (const std::weak_ptr<ProcessGroup>& each : children)
    if (const std::shared_ptr<ProcessGroup> child = each.lock()) child->close();
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace terse::trainer
