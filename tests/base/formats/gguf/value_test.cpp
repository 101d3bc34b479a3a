// Tests values of the metadata and the cursor that takes them from a file.
#include "base/formats/gguf/value.h"

#include <gmock/gmock.h>

#include "tests/support/tensor_files.h"

namespace terse {
namespace {

using support::data_error;
using support::GgufText;
using support::little_endian;
using ::testing::HasSubstr;

// The value that `bytes` hold, and nothing behind it. The result is a view of `bytes`.
GgufValue read(GgufType type, const std::string& bytes) {
  GgufCursor cursor(bytes, "f");
  const GgufValue value = cursor.value(type, "it");
  EXPECT_EQ(cursor.left(), 0u);
  EXPECT_EQ(cursor.position(), bytes.size());
  return value;
}

template <typename T>
std::optional<int64_t> integer(GgufType type, T value) {
  const std::string bytes = little_endian(value);
  const GgufValue found = read(type, bytes);
  EXPECT_EQ(found.number(), std::nullopt);
  EXPECT_EQ(found.boolean(), std::nullopt);
  EXPECT_EQ(found.text(), std::nullopt);
  EXPECT_FALSE(found.elements().has_value());
  return found.integer();
}

TEST(GgufValue, EveryIntegerKeepsItsSignAndSize) {
  EXPECT_EQ(integer(GgufType::kUint8, uint8_t{255}), 255);
  EXPECT_EQ(integer(GgufType::kInt8, int8_t{-128}), -128);
  EXPECT_EQ(integer(GgufType::kUint16, uint16_t{65535}), 65535);
  EXPECT_EQ(integer(GgufType::kInt16, int16_t{-32768}), -32768);
  EXPECT_EQ(integer(GgufType::kUint32, uint32_t{4294967295}), 4294967295);
  EXPECT_EQ(integer(GgufType::kInt32, int32_t{-2147483647}), -2147483647);
  EXPECT_EQ(integer(GgufType::kInt64, INT64_MIN), INT64_MIN);
  EXPECT_EQ(integer(GgufType::kUint64, uint64_t{INT64_MAX}), INT64_MAX);
  EXPECT_EQ(integer(GgufType::kUint64, uint64_t{INT64_MAX} + 1), std::nullopt);
}

TEST(GgufValue, OtherScalarsAreNoIntegers) {
  const std::string f = little_endian(0.1f), d = little_endian(0.1), yes(1, 1), no(1, 0), text = GgufText::text("ab");
  EXPECT_EQ(read(GgufType::kFloat32, f).number(), 0.1f);
  EXPECT_EQ(read(GgufType::kFloat64, d).number(), 0.1);
  EXPECT_EQ(read(GgufType::kBool, yes).boolean(), true);
  EXPECT_EQ(read(GgufType::kBool, no).boolean(), false);
  EXPECT_EQ(read(GgufType::kString, text).text(), "ab");
  EXPECT_EQ(read(GgufType::kString, text).integer(), std::nullopt);
  EXPECT_EQ(read(GgufType::kFloat32, f).integer(), std::nullopt);
  EXPECT_EQ(read(GgufType::kBool, yes).integer(), std::nullopt);
}

std::string array_text(GgufType element, uint64_t count, const std::string& elements) {
  return little_endian(static_cast<uint32_t>(element)) + little_endian(count) + elements;
}

TEST(GgufValue, ArraysMayHoldArrays) {
  const std::string one = array_text(GgufType::kUint8, 2, "\x01\x02"), none = array_text(GgufType::kString, 0, "");
  const std::string bytes = array_text(GgufType::kArray, 2, one + none);
  const GgufValue value = read(GgufType::kArray, bytes);
  EXPECT_EQ(value.type_text(), "array of array");
  const auto elements = value.elements().value();
  ASSERT_EQ(elements.size(), 2u);
  EXPECT_EQ(elements[0].type_text(), "array of uint8");
  EXPECT_EQ(elements[0].elements().value().at(1).integer(), 2);
  EXPECT_EQ(elements[1].type_text(), "array of string");
  EXPECT_TRUE(elements[1].elements().value().empty());
}

TEST(GgufValue, TheDepthOfArraysIsLimited) {
  const auto nested = [](int depth) {
    std::string bytes = array_text(GgufType::kUint8, 1, "x");
    for (int i = 1; i < depth; ++i) bytes = array_text(GgufType::kArray, 1, bytes);
    return bytes;
  };
  const std::string four = nested(4), five = nested(5), many = nested(1000);
  EXPECT_EQ(read(GgufType::kArray, four).count, 1u);
  for (const std::string& deep : {five, many}) {
    EXPECT_THAT(data_error([&] { read(GgufType::kArray, deep); }), HasSubstr("it is nested more than 4 arrays deep"));
  }
}

TEST(GgufCursor, NothingIsTakenBeyondTheEnd) {
  const std::string bytes = "1234567";
  GgufCursor cursor(bytes, "f");
  EXPECT_EQ(cursor.bytes(3, "it"), "123");
  EXPECT_EQ(data_error([&] { cursor.bytes(5, "it"); }),
            "f: at byte 3: it takes 5 bytes, but only 4 are left in the file");
  EXPECT_EQ(data_error([&] { cursor.bytes(UINT64_MAX, "it"); }),
            "f: at byte 3: it takes 18446744073709551615 bytes, but only 4 are left in the file");
  EXPECT_THAT(data_error([&] { cursor.number<uint64_t>("it"); }), HasSubstr("takes 8 bytes"));
  EXPECT_THAT(data_error([&] { cursor.skip_to(8, "it"); }), HasSubstr("it begins at byte 8, but the file has 7 bytes"));
  cursor.skip_to(7, "it");
  EXPECT_EQ(cursor.left(), 0u);
  EXPECT_EQ(cursor.bytes(0, "it"), "");
}

}  // namespace
}  // namespace terse
