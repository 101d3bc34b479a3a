// Tests the whole table of system errors. Each number has its exit code and advice, with a file and without.
#include "launch/system_errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>

#include "base/errors.h"
#include "launch/exit_codes.h"

namespace terse::launch {
namespace {

using ::testing::HasSubstr;

struct Expected {
  int of_file, alone;  // exit codes
  std::string advice;  // a word of it
};

// The entries are written by hand and not derived from the table under test.
const std::map<int, Expected>& expected() {
  static const std::map<int, Expected> table = {
      {ENOMEM, {71, 71, "engine.max_batch"}},
      {EAGAIN, {71, 71, "ulimit -u"}},
      {EMFILE, {71, 71, "ulimit -n"}},
      {ENFILE, {71, 71, "ulimit -n"}},
      {ENOSPC, {74, 74, "Free some space"}},
      {EDQUOT, {74, 74, "Free some space"}},
      {EFBIG, {74, 74, "ulimit -f"}},
      {EROFS, {74, 74, "read-only"}},
      {EIO, {74, 74, "newest checkpoint"}},
      {ENXIO, {74, 74, "newest checkpoint"}},
      {ENODEV, {74, 74, "newest checkpoint"}},
      {ESTALE, {74, 74, "newest checkpoint"}},
      {ETIMEDOUT, {74, 74, "newest checkpoint"}},
      {EHOSTDOWN, {74, 74, "newest checkpoint"}},
      {ENOTCONN, {74, 74, "newest checkpoint"}},
      {EACCES, {74, 74, "permissions"}},
      {EPERM, {74, 74, "permissions"}},
      {ENOENT, {74, 74, "missing"}},
      {ENOTDIR, {74, 74, "missing"}},
      {EISDIR, {74, 74, "missing"}},
      {EEXIST, {74, 74, "exists already"}},
      {ENOTEMPTY, {74, 74, "Another program"}},
      {EBUSY, {74, 74, "Another program"}},
      {ETXTBSY, {74, 74, "Another program"}},
      {ELOOP, {74, 74, "loop"}},
      {ENAMETOOLONG, {74, 74, "too long"}},
      {EXDEV, {74, 74, "does not support"}},
      {EMLINK, {74, 74, "does not support"}},
      {ENOLCK, {74, 74, "does not support"}},
      {EOPNOTSUPP, {74, 74, "does not support"}},
      {ENOSYS, {74, 74, "does not support"}},
      {EINVAL, {74, 70, "does not support"}},
      {EBADF, {70, 70, ""}},
  };
  return table;
}

Failure of_file(int number) {
  return describe_failure(std::make_exception_ptr(DiskError("cannot write a.h5", number)));
}

Failure of_file_system(int number) {
  return describe_failure(std::make_exception_ptr(
      std::filesystem::filesystem_error("cannot open", "a.h5", std::error_code(number, std::generic_category()))));
}

Failure alone(int number) {
  return describe_failure(std::make_exception_ptr(std::system_error(number, std::system_category(), "thread")));
}

TEST(SystemErrors, EveryNumberOfTheTableHasItsCodeAndAdvice) {
  for (const auto& [number, wanted] : expected()) {
    SCOPED_TRACE(std::strerror(number));
    for (const Failure& failure : {of_file(number), of_file_system(number)}) {
      EXPECT_EQ(failure.code, wanted.of_file);
      EXPECT_THAT(failure.message, HasSubstr("a.h5"));
      EXPECT_THAT(failure.message, HasSubstr(wanted.advice));
      EXPECT_EQ(failure.message.find("bug") != std::string::npos, failure.code == kBug);
    }
    EXPECT_EQ(alone(number).code, wanted.alone);
  }
}

TEST(SystemErrors, TheTableHasNoOtherNumbersAndNoneTwice) {
  std::set<int> numbers;
  for (const SystemError& error : system_errors()) {
    EXPECT_TRUE(expected().contains(error.number)) << std::strerror(error.number);
    EXPECT_TRUE(numbers.insert(error.number).second) << std::strerror(error.number);
  }
  EXPECT_EQ(numbers.size(), expected().size());
}

TEST(SystemErrors, ANumberThatNobodyThoughtOfIsTheDisksForAFile) {
  EXPECT_EQ(of_file(EHWPOISON).code, 74);
  EXPECT_EQ(of_file(0).code, 74);  // an error that was found without a system call
  EXPECT_EQ(alone(EHWPOISON).code, 70);
}

TEST(SystemErrors, AThreadThatCannotStartIsAResource) {
  const Failure failure = describe_failure(std::make_exception_ptr(
      std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again), "std::thread")));
  EXPECT_EQ(failure.code, 71);
  EXPECT_THAT(failure.message, HasSubstr("ulimit -v"));
}

}  // namespace
}  // namespace terse::launch
