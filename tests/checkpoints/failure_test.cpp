// A failure on one rank is thrown on all ranks with its type, so that the exit code is the same everywhere.
#include "checkpoints/failure.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <new>
#include <system_error>

#include "checkpoints/store.h"

namespace terse::checkpoints {
namespace {

// Throws the error as another rank would, after it was sent there.
template <typename Error>
void throw_elsewhere(const Error& error) {
  std::rethrow_exception(parse_failure(failure_text(with_context(std::make_exception_ptr(error), "rank 1: "))));
}

TEST(Failure, KeepsItsKind) {
  EXPECT_THROW(throw_elsewhere(DataError("x")), DataError);
  EXPECT_THROW(throw_elsewhere(Interrupted("x")), Interrupted);
  EXPECT_THROW(throw_elsewhere(ResourceError("x")), ResourceError);
  EXPECT_THROW(throw_elsewhere(std::bad_alloc()), ResourceError);
  EXPECT_THROW(throw_elsewhere(c10::OutOfMemoryError({}, "no room on the device")), ResourceError);
  EXPECT_THROW(throw_elsewhere(c10::Error({}, "DefaultCPUAllocator: can't allocate memory")), ResourceError);
  EXPECT_THROW(throw_elsewhere(c10::Error({}, "shapes differ")), std::logic_error);
  EXPECT_THROW(throw_elsewhere(std::invalid_argument("x")), std::invalid_argument);
  EXPECT_THROW(throw_elsewhere(std::out_of_range("a bug")), std::logic_error);
}

TEST(Failure, KeepsTheNumberOfASystemError) {
  for (const auto& thrower : {+[] { throw_elsewhere(DiskError("x", EFBIG)); },
                              +[] { throw_elsewhere(std::system_error(EFBIG, std::generic_category())); }}) {
    try {
      thrower();
      FAIL();
    } catch (const DiskError& error) {
      EXPECT_EQ(error.error(), EFBIG);
      EXPECT_EQ(std::string(error.what()).substr(0, 8), "rank 1: ");
    }
  }
}

}  // namespace
}  // namespace terse::checkpoints
