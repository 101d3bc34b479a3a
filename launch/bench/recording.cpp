// LibTorch numbers the nodes of a thread in the order in which a forward pass makes them. So a scope made the nodes
// whose numbers lie between the numbers at its beginning and at its end.
#include "launch/bench/recording.h"

#include <ATen/Context.h>
#include <ATen/SequenceNumber.h>
#include <ATen/record_function.h>

#include <chrono>
#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "trainer/model/profile_scope.h"

namespace terse::launch::bench {

class Recording::Observer {
 public:
  explicit Observer(torch::Device device) : device_(device), home_(at::RecordFunction::currentThreadId()) {
    if (active_ != nullptr) throw std::logic_error("two recordings at a time");
    active_ = this;
    handle_ = at::addGlobalCallback(at::RecordFunctionCallback(&Observer::start, &Observer::stop)
                                        .scopes({at::RecordScope::USER_SCOPE, at::RecordScope::BACKWARD_FUNCTION}));
    trainer::ProfileScope::turn(true);
  }
  ~Observer() {
    trainer::ProfileScope::turn(false);
    at::removeCallback(handle_);
    active_ = nullptr;
  }

  std::vector<Event> take() { return std::move(events_); }

 private:
  struct Open : at::ObserverContext {
    int64_t event = 0;
    uint64_t first_node = 0;
  };

  static std::unique_ptr<at::ObserverContext> start(const at::RecordFunction& function) {
    return active_->begin(function);
  }
  static void stop(const at::RecordFunction&, at::ObserverContext* context) {
    active_->end(static_cast<const Open&>(*context));
  }

  std::unique_ptr<Open> begin(const at::RecordFunction& function) {
    wait_for_device();
    const std::lock_guard lock(mutex_);
    const uint64_t thread = at::RecordFunction::currentThreadId();
    std::vector<int64_t>& open = open_[thread];
    Event event;
    event.name = function.name();
    event.thread = thread;
    // The nodes of a backward pass on a GPU run on a thread of their own, for the thread that waits for them.
    const std::vector<int64_t>& around = open.empty() ? open_[home_] : open;
    if (!around.empty()) event.parent = around.back();
    if (function.scope() == at::RecordScope::BACKWARD_FUNCTION) {
      event.node = std::exchange(event.name, operation_of({function.forwardThreadId(), function.seqNr()}));
    }
    auto context = std::make_unique<Open>();
    context->event = std::ssize(events_);
    context->first_node = at::sequence_number::peek();
    open.push_back(context->event);
    event.begin = now();
    events_.push_back(std::move(event));
    return context;
  }

  void end(const Open& context) {
    wait_for_device();
    const int64_t time = now();
    const std::lock_guard lock(mutex_);
    Event& event = events_[static_cast<size_t>(context.event)];
    event.end = time;
    open_[event.thread].pop_back();
    const uint64_t next_node = at::sequence_number::peek();
    // Several scopes may have made their last node at the same time. The innermost of them ends first, and stays.
    if (event.node.empty() && next_node > context.first_node)
      made_.emplace(std::pair(event.thread, next_node), std::pair(context.first_node, context.event));
  }

  // Returns the name of the operation that made a node of a thread, or nothing when no operation did.
  std::string operation_of(std::pair<uint64_t, int64_t> node) const {
    const auto number = static_cast<uint64_t>(node.second);
    for (auto each = made_.upper_bound({node.first, number}); each != made_.end() && each->first.first == node.first;
         ++each) {
      const auto& [first, event] = each->second;
      if (first <= number) return is_operation(event) ? events_[static_cast<size_t>(event)].name : "";
    }
    return "";
  }

  bool is_operation(int64_t event) const {
    const int64_t phase = events_[static_cast<size_t>(event)].parent;
    return phase >= 0 && events_[static_cast<size_t>(phase)].parent >= 0;
  }

  int64_t now() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start_).count();
  }
  void wait_for_device() const {
    if (!device_.is_cpu()) at::detail::getCUDAHooks().deviceSynchronize(device_.index());
  }

  static inline Observer* active_ = nullptr;

  const torch::Device device_;
  const uint64_t home_;  // the thread that records
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  at::CallbackHandle handle_ = 0;
  std::mutex mutex_;
  std::vector<Event> events_;
  std::map<uint64_t, std::vector<int64_t>> open_;  // of each thread, the innermost last
  // The scopes that made nodes: (thread, number after their last node) -> (number of their first node, event).
  std::map<std::pair<uint64_t, uint64_t>, std::pair<uint64_t, int64_t>> made_;
};

Recording::Recording(torch::Device device) : observer_(std::make_unique<Observer>(device)) {}
Recording::~Recording() = default;

std::vector<Event> Recording::finish() {
  std::vector<Event> events = observer_->take();
  observer_.reset();
  return events;
}

}  // namespace terse::launch::bench
