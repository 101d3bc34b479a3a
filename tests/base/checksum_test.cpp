// Compares CRC-32C and its masked form with known answers.
#include "base/checksum.h"

#include <gtest/gtest.h>

#include <string>

namespace terse {
namespace {

TEST(Crc32c, KnownAnswers) {
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);  // the check value of the catalogue of CRCs
  // RFC 3720, B.4.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  std::string rising, falling;
  for (int i = 0; i < 32; ++i) rising += static_cast<char>(i), falling += static_cast<char>(31 - i);
  EXPECT_EQ(crc32c(rising), 0x46DD794Eu);
  EXPECT_EQ(crc32c(falling), 0x113FDB5Cu);
}

// An event file begins with a record of 24 bytes. Its length is written as 18 00 00 00 00 00 00 00, and the masked
// checksum of the length as a3 7f 4b 22.
TEST(Crc32c, MaskedFormOfARecordLength) {
  EXPECT_EQ(masked_crc32c(std::string("\x18\0\0\0\0\0\0\0", 8)), 0x224B7FA3u);
}

TEST(Crc32c, EveryBitCounts) {
  const std::string bytes = "thought compression";
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string flipped = bytes;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    EXPECT_NE(crc32c(flipped), crc32c(bytes)) << "bit " << i;
  }
}

// The value for no bytes is that of xxhsum's own tests.
TEST(Xxh3, KnownValueAndSeed) {
  EXPECT_EQ(xxh3("", 0, 0), 0x2D06800538D394C2u);
  EXPECT_NE(xxh3("abc", 3, 0), xxh3("abd", 3, 0));
  EXPECT_NE(xxh3("abc", 3, 0), xxh3("abc", 3, 1));
}

}  // namespace
}  // namespace terse
