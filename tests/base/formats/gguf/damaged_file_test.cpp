// Tests damaged GGUF files: a table of them with the words of their messages.
#include <gmock/gmock.h>

#include "base/formats/gguf/file.h"
#include "tests/support/tensor_files.h"

namespace terse {
namespace {

using support::data_error;
using support::GgufText;
using support::little_endian;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Damage {
  GgufText text;
  std::string message;
};

constexpr uint32_t kUint8 = 0, kUint32 = 4, kBool = 7, kString = 8, kArray = 9, kUint64 = 10;
constexpr uint32_t kF32 = 0, kQ8 = 8;

std::string array_of(uint32_t type, uint64_t count, const std::string& elements = "") {
  return little_endian(type) + little_endian(count) + elements;
}

GgufText entry(const std::string& key, uint32_t type, const std::string& value) {
  return GgufText().entry(key, type, value);
}

// One tensor of 8 floats and its data.
GgufText tensor(const std::string& name, const std::vector<uint64_t>& dims = {8}, uint32_t type = kF32,
                uint64_t offset = 0, size_t data = 32) {
  return GgufText().tensor(name, dims, type, offset).bytes(data);
}

std::vector<Damage> damaged_heads() {
  GgufText other, version_0, version_1, version_4, big, no_entries, many_entries, many_tensors, all_entries;
  other.magic = "GGJT";
  version_0.version = 0;
  version_1.version = 1;
  version_4.version = 4;
  big.version = 0x03000000;
  no_entries.entry_count = 1;
  many_entries = entry("a", kUint8, "x");
  many_entries.entry_count = uint64_t{1} << 60;
  many_tensors = tensor("a");
  many_tensors.tensor_count = UINT64_MAX;
  all_entries = entry("a", kUint8, "x");
  all_entries.entry_count = 2;
  all_entries.bytes(40);
  return {
      {other, "at byte 4: the file begins with \"GGJT\", expected \"GGUF\""},
      {version_0, "this is a GGUF file of version 0, but only versions 2 and 3 are read"},
      {version_1, "this is a GGUF file of version 1; convert it with a newer llama.cpp first"},
      {version_4, "this is a GGUF file of version 4, but only versions 2 and 3 are read"},
      {big, "this is a big-endian file; only little-endian is read"},
      {no_entries, "it has 1 keys, too many for the 0 bytes that are left"},
      {many_entries, "it has 1152921504606846976 keys, too many"},
      {many_tensors, "it has 18446744073709551615 tensors, too many"},
      {all_entries, "the name of key 1 has 0 bytes, expected 1 to 65535"},
  };
}

std::vector<Damage> damaged_entries() {
  GgufText twice = entry("a", kUint8, "x");
  twice.entry("b", kUint8, "x").entry("a", kString, GgufText::text("x"));
  const std::string long_name = little_endian(uint64_t{1} << 40) + "x";
  const std::string filler(64, 'x');
  return {
      {twice, "it has key \"a\" twice"},
      {entry("", kUint8, "x" + filler), "the name of key 0 has 0 bytes, expected 1 to 65535"},
      {entry(std::string(65536, 'k'), kUint8, "x"), "the name of key 0 has 65536 bytes, expected 1 to 65535"},
      {entry("\xC3", kUint8, "x"), "is not UTF-8"},
      {entry("a", 13, "xxxx"), "key \"a\" has type 13, but the known types of metadata are 0 to 12"},
      {entry("a", 0xFFFFFFFF, "xxxx"), "key \"a\" has type 4294967295"},
      {entry("a", kUint32, "xxx"), "key \"a\" takes 4 bytes, but only 3 are left"},
      {entry("a", kUint64, "xxxxxxx"), "key \"a\" takes 8 bytes, but only 7 are left"},
      {entry("a", kBool, "\x02"), "key \"a\" holds the bool 2, expected 0 or 1"},
      {entry("a", kBool, "\xFF"), "key \"a\" holds the bool 255, expected 0 or 1"},
      {entry("a", kString, "xxxxxxx"), "key \"a\" takes 8 bytes, but only 7 are left"},
      {entry("a", kString, long_name), "key \"a\" takes 1099511627776 bytes, but only 1 are left"},
      {entry("a", kString, little_endian(UINT64_MAX)), "key \"a\" takes 18446744073709551615 bytes"},
      {entry("a", kArray, "xxx"), "key \"a\" takes 4 bytes"},
      {entry("a", kArray, array_of(13, 0)), "key \"a\" has type 13"},
      {entry("a", kArray, array_of(kUint8, 4, "xxx")),
       "key \"a\" has 4 elements of type uint8, too many for the 3 bytes"},
      {entry("a", kArray, array_of(kUint64, UINT64_MAX / 8 + 2, filler)),
       "key \"a\" has 2305843009213693953 elements of type uint64"},
      {entry("a", kArray, array_of(kString, 9, filler)),
       "key \"a\" has 9 elements of type string, too many for the 64 bytes"},
      {entry("a", kArray, array_of(kString, 2, GgufText::text("x") + little_endian(uint64_t{8}) + "1234567")),
       "key \"a\" takes 8 bytes, but only 7 are left"},
      {entry("a", kArray, array_of(kBool, 2, std::string("\1\3", 2))), "key \"a\" holds the bool 3"},
      {entry("a", kArray, array_of(kArray, 6, filler)),
       "key \"a\" has 6 elements of type array, too many for the 64 bytes"},
      {entry("a", kArray,
             array_of(kArray, 1, array_of(kArray, 1, array_of(kArray, 1, array_of(kArray, 1, array_of(kUint8, 0)))))),
       "key \"a\" is nested more than 4 arrays deep"},
      {entry("general.alignment", kUint64, little_endian(uint64_t{32})),
       "key \"general.alignment\" is of type uint64, expected uint32"},
      {entry("general.alignment", kUint32, little_endian(0u)),
       "key \"general.alignment\" is 0, expected a power of two"},
      {entry("general.alignment", kUint32, little_endian(48u)),
       "key \"general.alignment\" is 48, expected a power of two"},
  };
}

std::vector<Damage> damaged_tensors() {
  GgufText twice = tensor("a", {8}, kF32, 0, 64);
  twice.tensor("a", {8}, kF32, 32);
  GgufText half;
  half.tensors = GgufText::text("a") + little_endian(1u) + little_endian(uint64_t{8}) + little_endian(0u) + "1234567";
  half.tensor_count = 1;
  GgufText dims;
  dims.tensors = GgufText::text("a") + little_endian(0xFFFFFFFFu) + std::string(64, 'x');
  dims.tensor_count = 1;
  const uint64_t big = uint64_t{1} << 62;
  return {
      {twice, "it has tensor \"a\" twice"},
      {half, "the offset of tensor \"a\" takes 8 bytes, but only 7 are left"},
      {dims, "tensor \"a\" has 4294967295 dimensions, expected at most 4"},
      {tensor(""), "the name of tensor 0 has 0 bytes, expected 1 to 64"},
      {tensor(std::string(65, 't')), "the name of tensor 0 has 65 bytes, expected 1 to 64"},
      {tensor("\xE2\x82"), "is not UTF-8"},
      {tensor("a", {1, 1, 1, 1, 8}), "tensor \"a\" has 5 dimensions, expected at most 4"},
      {tensor("a", {8}, 4), "tensor \"a\" has the unknown type 4"},
      {tensor("a", {8}, 0xFFFFFFFF), "tensor \"a\" has the unknown type 4294967295"},
      {tensor("a", {UINT64_MAX}), "tensor \"a\" is F32 with shape [-1], which is negative, overflows"},
      {tensor("a", {big}), "tensor \"a\" is F32 with shape [4611686018427387904], which is negative, overflows"},
      {tensor("a", {big, 8}), "with shape [8, 4611686018427387904], which is negative, overflows"},
      {tensor("a", {16}, kQ8),
       "tensor \"a\" is Q8_0 with shape [16], which is negative, overflows, or has rows that are no whole blocks of 32 "
       "elements"},
      {tensor("a", {2, 32}, kQ8), "with shape [32, 2]"},
      {tensor("a", {8}, kF32, 8, 64), "tensor \"a\" begins at byte 8 of the data, which is not a multiple of 32"},
      {tensor("a", {8}, kF32, 32, 64),
       "tensor \"a\" begins at byte 32 of the data, but what is before it ends at byte 0: there is a hole"},
      {tensor("a", {8}, kF32, UINT64_MAX - 31, 64),
       "tensor \"a\" begins at byte 18446744073709551584 of the data, but what is before it ends at byte 0"},
      {tensor("a", {8}, kF32, 0, 31),
       "tensor \"a\" takes bytes 0 to 32 of the data, but the file has 31 bytes of data"},
      {tensor("a", {uint64_t{1} << 60}),
       "tensor \"a\" takes bytes 0 to 4611686018427387904 of the data, but the file has 32 bytes"},
      {tensor("a", {8}, kF32, 0, 33), "1 bytes follow the data of the last tensor"},
      {tensor("a", {8}, kF32, 0, 0), "the data begins at byte 64, but the file has 57 bytes"},
  };
}

std::vector<Damage> damaged_layouts() {
  const auto two = [](uint64_t first, uint64_t second, size_t data) {
    GgufText text;
    text.tensor("a", {9}, kF32, first).tensor("b", {8}, kF32, second).bytes(data);
    return text;
  };
  return {
      {two(0, 32, 96),
       "tensor \"b\" begins at byte 32 of the data, but what is before it ends at byte 64: they overlap"},
      {two(0, 0, 96), "begins at byte 0 of the data, but what is before it ends at byte 32: they overlap"},
      {two(0, 96, 128),
       "tensor \"b\" begins at byte 96 of the data, but what is before it ends at byte 64: there is a hole"},
      {two(0, 64, 95), "tensor \"b\" takes bytes 64 to 96 of the data, but the file has 95 bytes of data"},
      {two(0, 64, 60), "tensor \"b\" takes bytes 64 to 96 of the data, but the file has 60 bytes of data"},
      {two(0, 64, 97), "1 bytes follow the data of the last tensor"},
      {GgufText().bytes(1), "1 bytes follow the data of the last tensor"},
  };
}

TEST(GgufFile, EveryDamageIsFoundAndNamed) {
  size_t count = 0;
  for (const auto& table : {damaged_heads(), damaged_entries(), damaged_tensors(), damaged_layouts()}) {
    for (const Damage& damage : table) {
      const std::string bytes = damage.text.file();
      const std::string message = data_error([&] { GgufFile(bytes, "m.gguf"); });
      EXPECT_THAT(message, StartsWith("m.gguf: ")) << damage.message;
      EXPECT_THAT(message, HasSubstr(damage.message));
      ++count;
    }
  }
  EXPECT_GE(count, 60u);
}

TEST(GgufFile, WhatIsTooShortForAHeaderIsRefused) {
  const std::string whole = GgufText().file();
  ASSERT_EQ(whole.size(), 24u);
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string bytes = whole.substr(0, size);
    EXPECT_THAT(data_error([&] { GgufFile(bytes, "f"); }), HasSubstr("are left in the file")) << size;
  }
}

}  // namespace
}  // namespace terse
