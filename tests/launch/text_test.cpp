// Tests the formats of numbers and tables, and the escapes.
#include "launch/text.h"

#include <gtest/gtest.h>

#include <limits>

#include "launch/exit_codes.h"

namespace terse::launch {
namespace {

TEST(Text, Thousands) {
  EXPECT_EQ(with_thousands(0), "0");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(with_thousands(1000), "1,000");
  EXPECT_EQ(with_thousands(-999), "-999");
  EXPECT_EQ(with_thousands(-1234567), "-1,234,567");
  EXPECT_EQ(with_thousands(std::numeric_limits<int64_t>::min()), "-9,223,372,036,854,775,808");
}

TEST(Text, Durations) {
  EXPECT_EQ(duration(0), "0.0 s");
  EXPECT_EQ(duration(59.94), "59.9 s");
  EXPECT_EQ(duration(59.96), "1 min 00 s");
  EXPECT_EQ(duration(252), "4 min 12 s");
  EXPECT_EQ(duration(3599.6), "1 h 00 min");
  EXPECT_EQ(duration(3 * 3600 + 5 * 60), "3 h 05 min");
}

TEST(Text, ByteSizes) {
  EXPECT_EQ(byte_size(0), "0 B");
  EXPECT_EQ(byte_size(1023), "1023 B");
  EXPECT_EQ(byte_size(1536), "1.5 KiB");
  EXPECT_EQ(byte_size(int64_t{5} << 30), "5.0 GiB");
}

TEST(Text, TableAlignsAndLeavesNoTrailingSpace) {
  EXPECT_EQ(table({{"name", "n"}, {"a", "1,000"}, {"long name", ""}}, {0}),
            "name           n\na          1,000\nlong name\n");
  EXPECT_EQ(table({}), "");
}

TEST(Text, Escapes) {
  EXPECT_EQ(unescape("a\\n\\n\\tb\\\\n"), "a\n\n\tb\\n");
  EXPECT_EQ(unescape("plain\n"), "plain\n");
  EXPECT_THROW(unescape("\\x"), UsageError);
  EXPECT_THROW(unescape("end\\"), UsageError);
}

}  // namespace
}  // namespace terse::launch
