// Tests names, widths and sizes of the element types.
#include "base/formats/safetensors/dtype.h"

#include <gtest/gtest.h>

namespace terse {
namespace {

TEST(SafetensorsDtype, EveryNameIsFoundAgain) {
  int found = 0;
  for (const auto& [name, bits] : std::vector<std::pair<std::string, int>>{
           {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
           {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
           {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
           {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}}) {
    const auto dtype = find_safetensors_dtype(name);
    ASSERT_TRUE(dtype.has_value()) << name;
    EXPECT_EQ(static_cast<int>(*dtype), found++) << name << ": the order decides how files are sorted";
    EXPECT_EQ(safetensors_name(*dtype), name);
    EXPECT_EQ(safetensors_bits(*dtype), bits) << name;
    EXPECT_NE(safetensors_dtype_names().find(name), std::string::npos);
  }
  for (const std::string name : {"", "f32", "F32 ", "F128", "F8"}) EXPECT_FALSE(find_safetensors_dtype(name)) << name;
}

TEST(SafetensorsDtype, SizesAreWholeBytesAndDoNotOverflow) {
  using enum SafetensorsDtype;
  EXPECT_EQ(safetensors_bytes(kF32, {2, 3}), 24u);
  EXPECT_EQ(safetensors_bytes(kF32, {}), 4u);
  EXPECT_EQ(safetensors_bytes(kF32, {2, 0}), 0u);
  EXPECT_EQ(safetensors_bytes(kF4, {4}), 2u);
  EXPECT_EQ(safetensors_bytes(kF4, {3}), std::nullopt);
  EXPECT_EQ(safetensors_bytes(kF6E2M3, {4}), 3u);
  EXPECT_EQ(safetensors_bytes(kF6E2M3, {2}), std::nullopt);
  EXPECT_EQ(safetensors_bytes(kU8, {int64_t{1} << 59}), uint64_t{1} << 59);
  EXPECT_EQ(safetensors_bytes(kU8, {int64_t{1} << 60}), std::nullopt);
  EXPECT_EQ(safetensors_bytes(kU8, {-1}), std::nullopt);
  EXPECT_EQ(safetensors_bytes(kU8, {int64_t{1} << 40, int64_t{1} << 40}), std::nullopt);
}

}  // namespace
}  // namespace terse
