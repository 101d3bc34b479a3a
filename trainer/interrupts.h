// Requests to save or to stop, which arrive as signals. The loops poll them between steps.
#pragma once

#include <atomic>
#include <stdexcept>

namespace terse::trainer {

enum class Interrupt { kNone, kSaveAndContinue, kSaveAndStop };

// request() is async-signal-safe. A later save request never replaces a stop request.
class Interrupts {
 public:
  void request(Interrupt interrupt) {
    int wanted = static_cast<int>(interrupt);
    int seen = pending_.load();
    while (seen < wanted && !pending_.compare_exchange_weak(seen, wanted)) {
    }
  }
  Interrupt take() { return static_cast<Interrupt>(pending_.exchange(0)); }
  bool stop_requested() const { return pending_.load() == static_cast<int>(Interrupt::kSaveAndStop); }

 private:
  std::atomic<int> pending_{0};
  static_assert(std::atomic<int>::is_always_lock_free);
};

// Thrown by a loop once the state is safely on disk after kSaveAndStop; launch turns it into exit code 75.
class SavedAndStopped : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace terse::trainer
