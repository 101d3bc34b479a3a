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

#include "trainer/parallel/watchdog/guard.h"
#include "trainer/parallel/watchdog/waited.h"

namespace terse::trainer {

namespace {

constexpr int kMeetTag = 1, kDataTag = 2;
constexpr long kDataNap = 20;  // microseconds; without single-copy transport, data moves only during a poll
constexpr double kGrace = 1;  // seconds; after it, a waiting rank registers whom it waits for and compares fingerprints

}  // namespace

Exchange::Exchange(Group& group) : group_(group), requests_(group.comm_) {}
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
  bool told = false;
  for (int64_t left = requests_.left(); !requests_.test(); backoff.pause()) {
    if (requests_.left() < left) {
      left = requests_.left();
      waited.restart();
      group_.line_->move();
      backoff.reset();
      told = false;
    } else if (!told && waited.seconds() > kGrace) {
      group_.line_->wait_for(group_.in_world(requests_.peers()));
      told = true;
    } else if (waited.seconds() > group_.watch_.deadline()) {
      group_.late(requests_.peers(), "has not moved its data of");
      waited.restart();
    }
  }
  group_.line_->move();
}

void Exchange::wait_until(const std::function<bool()>& done, const char* what) {
  std::vector<int64_t> all(group_.size());
  std::iota(all.begin(), all.end(), 0);
  Waited waited;
  bool told = false;
  for (Backoff backoff; !done(); backoff.pause()) {
    const double seconds = waited.seconds();
    if (!told && seconds > kGrace) group_.line_->wait_for(group_.members_);
    told = seconds > kGrace;
    if (seconds <= group_.watch_.deadline()) continue;
    group_.late(all, what);
    waited.restart();
  }
}

void Exchange::fail(const std::string& problem) {
  const Arrival& mine = group_.sent_[rank()];
  group_.watch_.end(
      kExitHang, fmt::format("{} in phase \"{}\" failed in operation {} of group \"{}\", {}: {}", group_.names_[rank()],
                             mine.phase, mine.number, group_.name_, describe(mine), problem));
}

std::shared_ptr<Group> Group::create(mpi::Comm comm, std::string name, std::vector<int64_t> members, Watch& watch) {
  std::shared_ptr<Group> group(new Group(std::move(comm), std::move(name), std::move(members), watch));
  group->thread_ = std::thread([group] { group->serve(); });
  return group;
}

Group::Group(mpi::Comm comm, std::string name, std::vector<int64_t> members, Watch& watch)
    : comm_(std::move(comm)),
      name_(std::move(name)),
      members_(std::move(members)),
      watch_(watch),
      sent_(members_.size()),
      received_(members_.size()),
      before_(members_.size()),
      line_(watch.situation().add(name_)) {
  for (const int64_t member : members_) names_.push_back(watch_.name(member));
}

std::shared_future<void> Group::run(Call call, Body body) {
  Job job{.call = std::move(call), .body = std::move(body), .done = {}};
  std::shared_future<void> done = job.done.get_future().share();
  {
    const std::lock_guard lock(mutex_);
    if (closing_)
      throw std::logic_error(fmt::format("{} \"{}\" was called on group \"{}\" after its end", name_of(job.call.kind),
                                         job.call.name, name_));
    queue_.push_back(std::move(job));
  }
  changed_.notify_one();
  return done;
}

void Group::serve() {
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
      meet(job.call);
      if (job.body) {
        Exchange exchange(*this);
        job.body(exchange);
      }
      line_->finish();
      job.call = {};  // releases the tensors before the caller continues
      job.body = {};
      job.done.set_value();
    } catch (...) {
      job.done.set_exception(std::current_exception());
    }
  }
}

void Group::meet(const Call& call) {
  const Arrival mine = arrival_of(call, ++number_, watch_.situation().phase());
  line_->come(mine);
  mpi::Requests coming(comm_), going(comm_);
  for (int64_t step = 0; step < size(); ++step) {
    const int64_t peer = (rank() + step) % size();
    sent_[peer] = mine;
    address(sent_[peer], call, peer);
    if (peer == rank()) continue;
    received_[peer] = Arrival();
    coming.receive(peer, kMeetTag, &received_[peer], sizeof(Arrival));
    going.send(peer, kMeetTag, &sent_[peer], sizeof(Arrival));
  }
  Waited waiting;
  int64_t awaited = -1;
  Backoff backoff;
  for (bool came = coming.test(); !(going.test() && came); came = coming.test(), backoff.pause()) {
    const double waited = waiting.seconds();
    if (waited > kGrace) {
      refuse_disagreement();
      if (coming.left() != awaited) {
        awaited = coming.left();
        line_->wait_for(in_world(coming.peers()));
      }
    }
    if (waited > watch_.deadline()) {
      late(came ? going.peers() : coming.peers(), "has not come to");
      waiting.restart();
    }
  }
  refuse_disagreement();
  before_ = received_;
  line_->move();
}

void Group::refuse_disagreement() {
  const std::string problem = disagreement(name_, rank(), sent_, received_, names_);
  if (!problem.empty()) watch_.end(kExitHang, problem);
}

std::vector<int64_t> Group::in_world(std::vector<int64_t> ranks) const {
  for (int64_t& each : ranks) each = members_[each];
  return ranks;
}

// Called when these ranks of this group have exceeded the deadline. Ends the job when one of them is to blame.
// Otherwise it returns, and the caller waits for another deadline.
void Group::late(const std::vector<int64_t>& ranks, const char* what) {
  const std::map<int64_t, Watch::Answer> blamed = watch_.blame(in_world(ranks));
  std::string problem;
  for (const int64_t peer : ranks) {
    const auto found = blamed.find(members_[peer]);
    if (found == blamed.end()) continue;
    const Watch::Answer& answer = found->second;
    const Arrival& mine = sent_[rank()];
    problem += fmt::format(
        "{}{} {} operation {} of group \"{}\", {}, for {} s (parallel.deadline): ", problem.empty() ? "" : " ",
        names_[peer], what, mine.number, name_, describe(mine), watch_.deadline());
    if (answer.came)
      problem += answer.text + ".";
    else if (const Arrival& last = before_[peer]; last.number == 0)
      problem += "it does not answer, so it is stopped or its machine is lost; it had not come to any operation.";
    else
      problem += fmt::format(
          "it does not answer, so it is stopped or its machine is lost; it was last seen in phase \"{}\" at operation "
          "{}, {}.",
          last.phase, last.number, describe(last));
  }
  if (!problem.empty()) watch_.end(kExitHang, problem);
  line_->stay();
}

std::shared_ptr<Group> Group::split(std::string_view name, int64_t color, int64_t key) {
  check_color(name, color);
  std::shared_ptr<Group> child;
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
    const Guard guard(fmt::format("MPI's split of group \"{}\"", name_), watch_.deadline());
    // MPI takes ints only, so it gets the positions of the color and of the key instead of their values.
    mpi::Comm comm = comm_.split(std::distance(colors.begin(), colors.find(color)),
                                 std::find(peers.begin(), peers.end(), rank()) - peers.begin());
    for (int64_t& peer : peers) peer = members_[peer];
    child = create(std::move(comm), fmt::format("{}/{}:{}", name_, name, color), std::move(peers), watch_);
  }).get();
  const std::lock_guard lock(mutex_);
  std::erase_if(children_, [](const std::weak_ptr<Group>& each) { return each.expired(); });
  children_.push_back(child);
  return child;
}

void Group::close() {
  std::vector<std::weak_ptr<Group>> children;
  {
    const std::lock_guard lock(mutex_);
    children = std::move(children_);
    children_.clear();
  }
  for (const std::weak_ptr<Group>& each : children)
    if (const std::shared_ptr<Group> child = each.lock()) child->close();
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace terse::trainer
