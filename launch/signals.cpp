// A signal handler may use only lock-free atomics and async-signal-safe calls, and it can reach only globals. That is
// why this file has two of them.
#include "launch/signals.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string_view>

#include "launch/exit_codes.h"

namespace terse::launch {
namespace {

constexpr std::array kSignals = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP};

std::atomic<trainer::Interrupts*> target{nullptr};
std::atomic<bool> interrupted{false};  // true after the first SIGINT
static_assert(std::atomic<trainer::Interrupts*>::is_always_lock_free);

void say(std::string_view text) {
  // Nothing can be done about a failed write here.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
}

void request_for(int signal) {
  trainer::Interrupts* interrupts = target.load();
  if (interrupts == nullptr) return;
  if (signal == SIGUSR2) {
    interrupts->request(trainer::Interrupt::kSaveAndContinue);
    return;
  }
  if (signal == SIGINT) {
    if (interrupted.exchange(true)) {
      say("\nterse: second interrupt: exiting without saving; a rerun continues from the newest checkpoint\n");
      _exit(kSecondInterrupt);
    }
    say("\nterse: saving, then stopping (interrupt again to exit without saving)\n");
  }
  interrupts->request(trainer::Interrupt::kSaveAndStop);
}

void handle(int signal) {
  const int before = errno;  // the interrupted code may be about to read errno
  request_for(signal);
  errno = before;
}

}  // namespace

struct SignalScope::Saved {
  std::array<struct sigaction, kSignals.size()> actions;
};

SignalScope::SignalScope(trainer::Interrupts& interrupts) : saved_(std::make_unique<Saved>()) {
  trainer::Interrupts* none = nullptr;
  if (!target.compare_exchange_strong(none, &interrupts)) throw std::logic_error("two SignalScopes at a time");
  interrupted.store(false);
  struct sigaction action {};
  action.sa_handler = handle;
  action.sa_flags = SA_RESTART;  // interrupted reads and writes of libraries are restarted; the loops poll
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &saved_->actions[i]);
    const bool nohup = kSignals[i] == SIGHUP && saved_->actions[i].sa_handler == SIG_IGN;
    if (!nohup) sigaction(kSignals[i], &action, nullptr);
  }
}

SignalScope::~SignalScope() {
  for (size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &saved_->actions[i], nullptr);
  target.store(nullptr);
}

void ignore_fatal_writes() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

}  // namespace terse::launch
