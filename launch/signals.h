// Signals become requests that the training loops poll between steps.
#pragma once

#include <memory>

#include "trainer/interrupts.h"

namespace terse::launch {

// While it lives: SIGUSR1, SIGTERM, SIGINT and SIGHUP (unless it was ignored: `nohup`) ask to save and stop, SIGUSR2 to
// save and go on; a second SIGINT leaves the process at once with exit code 130. The handlers before are restored at
// the end. At most one may live at a time.
class SignalScope {
 public:
  explicit SignalScope(trainer::Interrupts& interrupts);
  ~SignalScope();
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;

 private:
  struct Saved;
  std::unique_ptr<Saved> saved_;
};

// A reader that goes away (`terse ... | head`) and a file that may not grow (`ulimit -f`) are errors of that write, not
// the end of the process.
void ignore_fatal_writes();

}  // namespace terse::launch
