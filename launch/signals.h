// Signals become requests that the training loops poll between steps.
#pragma once

#include <memory>

#include "trainer/interrupts.h"

namespace terse::launch {

// Handles signals as long as it lives. SIGUSR1, SIGTERM, SIGINT and SIGHUP request a save and a stop; SIGHUP stays
// ignored if it was ignored before (`nohup`). SIGUSR2 requests a save alone. A second SIGINT ends the process at once
// with exit code 130. The destructor restores the previous handlers. At most one SignalScope may live at a time.
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

// Ignores SIGPIPE and SIGXFSZ. When a reader goes away (`terse ... | head`) or a file may not grow (`ulimit -f`), the
// write then returns an error instead of ending the process.
void ignore_fatal_writes();

}  // namespace terse::launch
