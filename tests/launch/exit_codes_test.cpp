// Every exception has its exit code, and a message that a person can use.
#include "launch/exit_codes.h"

#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cerrno>
#include <filesystem>
#include <new>
#include <system_error>

#include "base/errors.h"
#include "launch/run/starts.h"
#include "trainer/interrupts.h"

namespace terse::launch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

template <typename Error>
Failure failure_of(const Error& error) {
  return describe_failure(std::make_exception_ptr(error));
}

TEST(ExitCodes, EveryErrorOfOursHasItsOwn) {
  EXPECT_EQ(failure_of(UsageError("x")).code, 64);
  EXPECT_EQ(failure_of(DataError("x")).code, 65);
  EXPECT_EQ(failure_of(ResourceError("x")).code, 71);
  EXPECT_EQ(failure_of(DiskError("x")).code, 74);
  EXPECT_EQ(failure_of(LostError("x")).code, 76);
  EXPECT_EQ(failure_of(MachineError("x")).code, 78);
  EXPECT_EQ(failure_of(DivergedError("x")).code, 78);
  EXPECT_EQ(failure_of(trainer::SavedAndStopped("x")).code, 75);
  EXPECT_EQ(failure_of(ConfigError("x")).code, 78);
  EXPECT_EQ(failure_of(NoProgress("x")).code, 93);
  EXPECT_EQ(failure_of(ConfigError("a.yaml:3: what")).message, "a.yaml:3: what");
}

TEST(ExitCodes, AnythingElseIsABugToReport) {
  const Failure failure = failure_of(std::logic_error("index 3 of 2"));
  EXPECT_EQ(failure.code, 70);
  EXPECT_THAT(failure.message, AllOf(HasSubstr("index 3 of 2"), HasSubstr("report it"), HasSubstr("commit")));
  EXPECT_EQ(failure_of(42).code, 70);
}

TEST(ExitCodes, MemoryErrorsTellWhatToLower) {
  for (const Failure& failure :
       {failure_of(std::bad_alloc()), failure_of(std::system_error(ENOMEM, std::generic_category()))}) {
    EXPECT_EQ(failure.code, 71);
    EXPECT_THAT(failure.message, HasSubstr("engine.max_batch"));
  }
}

TEST(ExitCodes, TensorLargerThanTheMachineIsOutOfMemory) {
  try {
    torch::empty({int64_t{1} << 50}, torch::kFloat32);
    FAIL() << "allocated 4 PiB";
  } catch (...) {
    const Failure failure = describe_failure(std::current_exception());
    EXPECT_EQ(failure.code, 71) << failure.message;
    EXPECT_THAT(failure.message, Not(HasSubstr("frame #")));  // no backtrace
  }
}

TEST(ExitCodes, TensorMistakeIsABugWithItsBacktrace) {
  try {
    torch::ones({2, 3}).matmul(torch::ones({2, 3}));
    FAIL() << "multiplied";
  } catch (...) {
    EXPECT_EQ(describe_failure(std::current_exception()).code, 70);
  }
}

TEST(ExitCodes, NoErrorOfOursIsCalledABug) {
  for (const Failure& failure :
       {failure_of(ConfigError("x")), failure_of(MachineError("x")), failure_of(DivergedError("x")),
        failure_of(DataError("x")), failure_of(DiskError("x", EFBIG)), failure_of(ResourceError("x")),
        failure_of(LostError("x")), failure_of(std::system_error(EAGAIN, std::generic_category(), "x"))}) {
    EXPECT_NE(failure.code, 70);
    EXPECT_THAT(failure.message, Not(HasSubstr("bug")));
  }
}

TEST(ExitCodes, InvalidArgumentFromInputIsTheUsersMistake) {
  EXPECT_THROW(on_user_input([] { throw std::invalid_argument("no such task"); }), UsageError);
  EXPECT_EQ(on_user_input([] { return 3; }), 3);
  EXPECT_THROW(on_user_input([] { throw std::out_of_range("bug"); }), std::out_of_range);
}

}  // namespace
}  // namespace terse::launch
