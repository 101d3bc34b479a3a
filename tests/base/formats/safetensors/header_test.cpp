// Tests headers: what a good one says, and a table of damaged files with the words of their messages.
#include "base/formats/safetensors/header.h"

#include <gmock/gmock.h>

#include "base/formats/safetensors/file.h"
#include "tests/support/tensor_files.h"

namespace terse {
namespace {

using support::data_error;
using support::little_endian;
using support::safetensors_text;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(SafetensorsHeader, GivesTheTensorsInTheOrderOfTheirData) {
  const SafetensorsHeader header = parse_safetensors_header(
      R"({"b":{"shape":[1,2],"data_offsets":[2,4],"dtype":"U8"},"__metadata__":{"k":"v","":""},)"
      R"("e2":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},"a":{"dtype":"BF16","shape":[],"data_offsets":[0,2]}}   )",
      4, "file");
  ASSERT_EQ(header.entries.size(), 3u);
  EXPECT_EQ(header.entries[0].name, "a");
  EXPECT_EQ(header.entries[0].dtype, SafetensorsDtype::kBF16);
  EXPECT_EQ(header.entries[0].shape, std::vector<int64_t>{});
  EXPECT_EQ(header.entries[1].name, "e2");
  EXPECT_EQ(header.entries[2].name, "b");
  EXPECT_EQ(header.entries[2].shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(header.entries[2].begin, 2u);
  EXPECT_EQ(header.entries[2].end, 4u);
  EXPECT_EQ(header.metadata, (std::map<std::string, std::string>{{"k", "v"}, {"", ""}}));
  EXPECT_TRUE(parse_safetensors_header("{}", 0, "file").entries.empty());
}

// A header with one good tensor "a" of 4 bytes and what follows it.
std::string with_a(const std::string& more) {
  return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)" + more + "}";
}

// A header with the tensor "a" alone, whose fields are given.
std::string only_a(const std::string& fields) {
  return R"({"a":{)" + fields + "}}";
}

struct Damage {
  std::string file;
  std::string message;
};

const std::string kData = "1234";
const std::string kFits = R"("dtype":"U8","shape":[4],"data_offsets":[0,4])";

std::vector<Damage> damaged_frames() {
  return {
      {"", "it has 0 bytes, too few for a safetensors file"},
      {"1234567", "it has 7 bytes, too few"},
      {little_endian(uint64_t{100'000'001}) + "{}", "its header has 100000001 bytes, expected at most 100000000"},
      {little_endian(UINT64_MAX) + "{}", "its header has 18446744073709551615 bytes, expected at most"},
      {little_endian(uint64_t{3}) + "{}", "its header has 3 bytes, but the file has only 2 after the length"},
      {little_endian(uint64_t{0}), "its header begins with \"\", expected \"{\""},
      {"GGUF" + std::string(100, 'x'), "this is not a safetensors file"},
      {safetensors_text(" {}"), "its header begins with \" \", expected \"{\""},
      {safetensors_text("[]"), "its header begins with \"[\""},
      {safetensors_text("{"), "its header: it is not JSON: unexpected"},
      {safetensors_text("{}x"), "its header: it is not JSON: unexpected"},
      {safetensors_text(std::string("{}\0", 3)), "its header: it is not JSON: byte 2 is 0"},
      {safetensors_text("{\"\xC3\":{}}"), "its header: it is not JSON: unexpected"},
      {safetensors_text(only_a(kFits)), "tensor \"a\" ends at byte 4 of the data, but the file has 0 bytes of data"},
      {safetensors_text(only_a(kFits), "12345"), "it has 5 bytes of data, but its tensors end at byte 4"},
      {safetensors_text("{}", "1"), "it has 1 bytes of data, but its tensors end at byte 0"},
      {safetensors_text(R"({"a":1})", kData), "tensor \"a\" is no object"},
      {safetensors_text(R"({"a":[]})", kData), "tensor \"a\" is an array, expected an object"},
      {safetensors_text(R"({"a":{}})", kData), "tensor \"a\" has no \"dtype\""},
      {safetensors_text(R"({"__metadata__":1})"), "the metadata is no object"},
      {safetensors_text(R"({"__metadata__":[]})"), "the metadata is an array, expected an object"},
      {safetensors_text(R"({"__metadata__":{"k":1}})"), "\"k\" of the metadata is not a string"},
      {safetensors_text(R"({"__metadata__":{"k":{}}})"), "\"k\" of the metadata is an object, expected a string"},
      {safetensors_text(R"({"__metadata__":{"k":[]}})"), "\"k\" of the metadata is an array, expected a string"},
      {safetensors_text(R"({"__metadata__":{"k":"","k":""}})"), "the metadata has \"k\" twice"},
      {safetensors_text(R"({"__metadata__":{},"__metadata__":{}})"), "\"__metadata__\" comes twice"},
  };
}

std::vector<Damage> damaged_fields() {
  const auto file = [](const std::string& fields) { return safetensors_text(only_a(fields), kData); };
  const std::string shape = R"("dtype":"U8","data_offsets":[0,4],"shape":)";
  const std::string offsets = R"("dtype":"U8","shape":[4],"data_offsets":)";
  return {
      {file(R"("shape":[4],"data_offsets":[0,4])"), "tensor \"a\" has no \"dtype\""},
      {file(R"("dtype":"U8","data_offsets":[0,4])"), "tensor \"a\" has no \"shape\""},
      {file(R"("dtype":"U8","shape":[4])"), "tensor \"a\" has no \"data_offsets\""},
      {file(kFits + R"(,"dtype":"U8")"), "tensor \"a\" has \"dtype\" twice"},
      {file(kFits + R"(,"shape":[4])"), "tensor \"a\" has \"shape\" twice"},
      {file(kFits + R"(,"data_offsets":[0,4])"), "tensor \"a\" has \"data_offsets\" twice"},
      {file(kFits + R"(,"stride":[1])"), "tensor \"a\" has the key \"stride\"; expected dtype, shape and data_offsets"},
      {file(R"("dtype":"F128","shape":[4],"data_offsets":[0,4])"),
       "tensor \"a\" has dtype \"F128\"; the known dtypes are BOOL"},
      {file(R"("dtype":8,"shape":[4],"data_offsets":[0,4])"), "\"dtype\" of tensor \"a\" is not a string"},
      {file(R"("dtype":["U8"],"shape":[4],"data_offsets":[0,4])"), "\"dtype\" of tensor \"a\" is not a string"},
      {file(shape + "4"), "\"shape\" of tensor \"a\" is not an array of whole numbers"},
      {file(shape + "\"4\""), "\"shape\" of tensor \"a\" is not an array of whole numbers"},
      {file(shape + "{}"), "\"shape\" of tensor \"a\" is not an array of whole numbers"},
      {file(shape + "[[4]]"), "nested more than 3 levels deep"},
      {file(shape + "[-4]"), "\"shape\" of tensor \"a\" holds something else than whole numbers from 0 to 2^63 - 1"},
      {file(shape + "[4.0]"), "\"shape\" of tensor \"a\" holds something else"},
      {file(shape + "[\"4\"]"), "\"shape\" of tensor \"a\" holds something else"},
      {file(shape + "[9223372036854775808]"), "\"shape\" of tensor \"a\" holds something else"},
      {file(shape + "[99999999999999999999]"), "\"shape\" of tensor \"a\" holds something else"},
      {file(shape + "[1099511627776,1099511627776]"), "whose size overflows"},
      {file(shape + "[9223372036854775807]"), "whose size overflows"},
      {file(shape + "[5]"), "has data_offsets [0, 4], but U8 with shape [5] takes 5 bytes"},
      {file(shape + "[2,0]"), "has data_offsets [0, 4], but U8 with shape [2, 0] takes 0 bytes"},
      {file(R"("dtype":"F4","shape":[7],"data_offsets":[0,4])"),
       "is F4 with shape [7], whose size overflows or is no number of whole bytes"},
      {file(shape + "[" + std::string(64 * 2, ' ') +
            [] {
              std::string ones = "1";
              for (int i = 1; i < 65; ++i) ones += ",1";
              return ones;
            }() +
            "]"),
       "tensor \"a\" has more than 64 dimensions"},
      {file(offsets + "[0]"), "\"data_offsets\" of tensor \"a\" has 1 numbers, expected 2"},
      {file(offsets + "[]"), "\"data_offsets\" of tensor \"a\" has 0 numbers, expected 2"},
      {file(offsets + "[0,4,4]"), "\"data_offsets\" of tensor \"a\" has 3 numbers, expected 2"},
      {file(offsets + "4"), "\"data_offsets\" of tensor \"a\" is not an array of whole numbers"},
      {file(offsets + "[4,0]"), "tensor \"a\" has data_offsets [4, 0], but U8 with shape [4] takes 4 bytes"},
      {file(offsets + "[-4,0]"), "\"data_offsets\" of tensor \"a\" holds something else"},
      {file(offsets + "[9223372036854775803,9223372036854775807]"),
       "begins at byte 9223372036854775803 of the data, but the data begins at byte 0: there is a hole"},
  };
}

std::vector<Damage> damaged_layouts() {
  const auto file = [](const std::string& more, size_t bytes) {
    return safetensors_text(with_a(more), std::string(bytes, 'x'));
  };
  const std::string b = R"("b":{"dtype":"U8","shape":[4],"data_offsets":)";
  return {
      {file(R"("a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]})", 8), "it holds tensor \"a\" twice"},
      {file(R"("\u0061":{"dtype":"U8","shape":[4],"data_offsets":[4,8]})", 8), "it holds tensor \"a\" twice"},
      {file(b + "[3,7]}", 7),
       "tensor \"b\" begins at byte 3 of the data, but tensor \"a\" ends at byte 4: they overlap"},
      {file(b + "[0,4]}", 8),
       "tensor \"b\" begins at byte 0 of the data, but tensor \"a\" ends at byte 4: they overlap"},
      {file(b + "[5,9]}", 9),
       "tensor \"b\" begins at byte 5 of the data, but tensor \"a\" ends at byte 4: there is a hole"},
      {file(b + "[4,8]}", 7), "tensor \"b\" ends at byte 8 of the data, but the file has 7 bytes of data"},
      {file(b + "[4,8]}", 9), "it has 9 bytes of data, but its tensors end at byte 8"},
      {file(R"("e":{"dtype":"U8","shape":[0],"data_offsets":[2,2]})", 4), "they overlap"},
      {file(R"("e":{"dtype":"U8","shape":[0],"data_offsets":[5,5]})", 4), "there is a hole"},
  };
}

TEST(SafetensorsHeader, EveryDamageIsFoundAndNamed) {
  size_t count = 0;
  for (const auto& table : {damaged_frames(), damaged_fields(), damaged_layouts()}) {
    for (const Damage& damage : table) {
      const std::string message = data_error([&] { SafetensorsFile(damage.file, "m.safetensors"); });
      EXPECT_THAT(message, StartsWith("m.safetensors: ")) << damage.file;
      EXPECT_THAT(message, HasSubstr(damage.message)) << damage.file;
      ++count;
    }
  }
  EXPECT_GE(count, 65u);
}

TEST(SafetensorsHeader, AHugeNameMakesNoHugeMessage) {
  const std::string name(1'000'000, 'n');
  const std::string message = data_error([&] { SafetensorsFile(safetensors_text("{\"" + name + "\":1}"), "m"); });
  EXPECT_LT(message.size(), 300u);
  EXPECT_THAT(message, HasSubstr("nnn...\" is no object"));
}

}  // namespace
}  // namespace terse
