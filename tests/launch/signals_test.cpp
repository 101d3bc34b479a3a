// Signals become requests. A handler does nothing else.
#include "launch/signals.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace terse::launch {
namespace {

using trainer::Interrupt;
using trainer::Interrupts;

TEST(Signals, StopSignalsAskToSaveAndStop) {
  for (const int signal : {SIGUSR1, SIGTERM, SIGINT, SIGHUP}) {
    Interrupts interrupts;
    const SignalScope scope(interrupts);
    raise(signal);
    EXPECT_TRUE(interrupts.stop_requested()) << signal;
    EXPECT_EQ(interrupts.take(), Interrupt::kSaveAndStop) << signal;
  }
}

TEST(Signals, Usr2AsksToSaveAndGoOnAndNeverCancelsAStop) {
  Interrupts interrupts;
  const SignalScope scope(interrupts);
  raise(SIGUSR2);
  EXPECT_EQ(interrupts.take(), Interrupt::kSaveAndContinue);
  raise(SIGUSR1);
  raise(SIGUSR2);
  EXPECT_EQ(interrupts.take(), Interrupt::kSaveAndStop);
}

TEST(Signals, TermAfterInterruptStillSaves) {
  Interrupts interrupts;
  const SignalScope scope(interrupts);
  raise(SIGTERM);
  raise(SIGTERM);
  raise(SIGINT);
  EXPECT_EQ(interrupts.take(), Interrupt::kSaveAndStop);
}

TEST(SignalsDeathTest, SecondInterruptLeavesAtOnce) {
  EXPECT_EXIT(
      {
        Interrupts interrupts;
        const SignalScope scope(interrupts);
        raise(SIGINT);
        raise(SIGINT);
      },
      ::testing::ExitedWithCode(130), "interrupt again.*exiting without saving");
}

TEST(SignalsDeathTest, SecondInterruptLeavesEvenWhenAnotherSignalCameBetween) {
  EXPECT_EXIT(
      {
        Interrupts interrupts;
        const SignalScope scope(interrupts);
        raise(SIGINT);
        raise(SIGTERM);
        raise(SIGINT);
      },
      ::testing::ExitedWithCode(130), "exiting without saving");
}

TEST(Signals, AHangupThatWasIgnoredStaysIgnored) {
  const auto before = signal(SIGHUP, SIG_IGN);
  {
    Interrupts interrupts;
    const SignalScope scope(interrupts);
    raise(SIGHUP);
    EXPECT_EQ(interrupts.take(), Interrupt::kNone);
  }
  EXPECT_EQ(signal(SIGHUP, before), SIG_IGN);
}

TEST(Signals, AFileThatMayNotGrowIsAnErrorOfTheWrite) {
  ignore_fatal_writes();
  raise(SIGXFSZ);
  raise(SIGPIPE);
}

TEST(Signals, HandlersBeforeComeBack) {
  struct sigaction before {
  }, after{};
  sigaction(SIGTERM, nullptr, &before);
  {
    Interrupts interrupts;
    const SignalScope scope(interrupts);
  }
  sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
}

TEST(Signals, TwoScopesAtATimeAreRefused) {
  Interrupts interrupts;
  const SignalScope scope(interrupts);
  EXPECT_THROW(SignalScope second(interrupts), std::logic_error);
  raise(SIGUSR1);
  EXPECT_TRUE(interrupts.stop_requested());
}

}  // namespace
}  // namespace terse::launch
