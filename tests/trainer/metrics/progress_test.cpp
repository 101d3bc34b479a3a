// The progress line and its number formats, and the console and log that print it.
#include "trainer/metrics/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <limits>

#include "trainer/metrics/console.h"
#include "trainer/metrics/log.h"

namespace terse::trainer {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(HumanCount, RoundsToTwoOrThreeDigits) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(950), "950");
  EXPECT_EQ(human_count(999.6), "1.0k");
  EXPECT_EQ(human_count(9949), "9.9k");
  EXPECT_EQ(human_count(9960), "10k");
  EXPECT_EQ(human_count(51234), "51k");
  EXPECT_EQ(human_count(999600), "1.0M");
  EXPECT_EQ(human_count(3.4e9), "3.4G");
  EXPECT_EQ(human_count(std::numeric_limits<double>::infinity()), "inf");
}

TEST(HumanValue, KeepsThreeSignificantDigits) {
  EXPECT_EQ(human_value(0), "0");
  EXPECT_EQ(human_value(0.2312), "0.231");
  EXPECT_EQ(human_value(2.0), "2.00");
  EXPECT_EQ(human_value(9.999), "10.0");
  EXPECT_EQ(human_value(-41.27), "-41.3");
  EXPECT_EQ(human_value(0.00123), "0.00123");
  EXPECT_EQ(human_value(1234.5), "1234");
  EXPECT_EQ(human_value(2.5e-7), "2.50e-07");
  EXPECT_EQ(human_value(std::numeric_limits<double>::quiet_NaN()), "nan");
}

TEST(ClockTime, GrowsWithItsSize) {
  EXPECT_EQ(clock_time(-1), "0:00");
  EXPECT_EQ(clock_time(42.4), "0:42");
  EXPECT_EQ(clock_time(3599.6), "1:00:00");
  EXPECT_EQ(clock_time(3723), "1:02:03");
  EXPECT_EQ(clock_time(2 * 86400 + 3 * 3600 + 240), "2 d 03:04");
}

TEST(Progress, ShowsShareMetricsSpeedAndTimeLeft) {
  Progress progress;
  progress.begin("sft", 0, 1500, 100);
  for (int i = 1; i <= 640; ++i) progress.step_done(100 + 0.0488 * i);
  progress.record(640, {{"loss", 0.2312}, {"tokens_per_s", 51234}, {"mfu", 0.4262}, {"grad_norm", 3}});
  EXPECT_EQ(progress.line(), "sft 640/1500 42% | loss 0.231 | 51k tok/s | mfu 43% | ETA 0:42");
}

TEST(Progress, AfterAResumeTheTimeLeftCountsThisStartOnly) {
  Progress progress;
  progress.begin("rl", 200, 250, 1000);
  EXPECT_EQ(progress.line(), "rl 200/250 80%");
  for (int i = 1; i <= 10; ++i) progress.step_done(1000 + 2 * i);
  EXPECT_EQ(progress.line(), "rl 210/250 84% | ETA 1:20");
}

TEST(Progress, AccuracyStandsInForAPolicysLossAndOldValuesStay) {
  Progress progress;
  progress.begin("rl", 0, 0, 0);
  progress.record(1, {{"loss", 0.1}, {"accuracy", 0.98}, {"completions/mean_length", 12.44}});
  progress.record(2, {{"loss", 0.1}, {"tokens_per_s", 900}});
  EXPECT_EQ(progress.line(), "rl 2 | accuracy 0.980 | 12.4 tokens | 900 tok/s");
}

class Captured {
 public:
  explicit Captured(bool terminal) : console(file_, terminal) {}
  ~Captured() {
    std::fclose(file_);
    std::free(buffer_);
  }
  std::string text() {
    std::fflush(file_);
    return std::string(buffer_, size_);
  }

 private:
  char* buffer_ = nullptr;
  size_t size_ = 0;
  std::FILE* file_ = ::open_memstream(&buffer_, &size_);

 public:
  Console console;
};

TEST(Console, PermanentLinesStandAboveTheLiveOne) {
  Captured captured(true);
  captured.console.live("50%");
  captured.console.print("saved");
  captured.console.live("60%");
  captured.console.end_live();
  captured.console.end_live();
  EXPECT_EQ(captured.text(), "\r50%\x1b[K\r\x1b[Ksaved\n50%\r60%\x1b[K\n");
}

TEST(Console, AFileIsNoTerminal) {
  std::FILE* file = std::tmpfile();
  EXPECT_FALSE(Console(file).terminal());
  std::fclose(file);
}

TEST(Log, AFileThatCannotBeWrittenIsReportedOnceAndWordsGoOn) {
  Captured captured(false);
  {
    Log log(captured.console, "/dev/full");
    log.info("one");
    log.info("two");
    Log missing(captured.console, "/nonexistent/log.txt");
    missing.warn("three");
  }
  const std::string text = captured.text();
  for (const char* part :
       {"one\n", "two\n", "cannot write /dev/full", "cannot open /nonexistent/log.txt", "warning: three"})
    EXPECT_THAT(text, HasSubstr(part));
  EXPECT_THAT(text.substr(text.find("two")), Not(HasSubstr("/dev/full")));
}

}  // namespace
}  // namespace terse::trainer
