// Tests the names and sizes of ggml's types.
#include "base/formats/gguf/ggml_type.h"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>

namespace terse {
namespace {

TEST(GgmlType, TypesThatAreConvertedHaveTheirNumbers) {
  for (const auto& [type, name] : std::map<GgmlType, std::string>{{GgmlType::kF32, "F32"},
                                                                  {GgmlType::kF16, "F16"},
                                                                  {GgmlType::kQ4_0, "Q4_0"},
                                                                  {GgmlType::kQ4_1, "Q4_1"},
                                                                  {GgmlType::kQ5_0, "Q5_0"},
                                                                  {GgmlType::kQ5_1, "Q5_1"},
                                                                  {GgmlType::kQ8_0, "Q8_0"},
                                                                  {GgmlType::kQ4_K, "Q4_K"},
                                                                  {GgmlType::kQ5_K, "Q5_K"},
                                                                  {GgmlType::kQ6_K, "Q6_K"},
                                                                  {GgmlType::kBF16, "BF16"}}) {
    EXPECT_EQ(ggml_name(type), name);
    EXPECT_EQ(find_ggml_type(static_cast<uint32_t>(type)), type);
  }
}

// Sizes of blocks from the Python package gguf 0.19.0 (GGML_QUANT_SIZES), for the types that terse does not convert.
TEST(GgmlType, OtherTypesAreKnownByNameAndSize) {
  for (const auto& [number, name, elements, bytes] : std::vector<std::tuple<uint32_t, std::string, int64_t, int64_t>>{
           {9, "Q8_1", 32, 40},      {10, "Q2_K", 256, 84},   {11, "Q3_K", 256, 110},   {15, "Q8_K", 256, 292},
           {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74}, {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},
           {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110}, {22, "IQ2_S", 256, 82},   {23, "IQ4_XS", 256, 136},
           {24, "I8", 1, 1},         {25, "I16", 1, 2},       {26, "I32", 1, 4},        {27, "I64", 1, 8},
           {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},  {34, "TQ1_0", 256, 54},   {35, "TQ2_0", 256, 66},
           {39, "MXFP4", 32, 17},    {40, "NVFP4", 64, 36},   {41, "Q1_0", 128, 18}}) {
    const auto type = find_ggml_type(number);
    ASSERT_TRUE(type.has_value()) << number;
    EXPECT_EQ(ggml_name(*type), name);
    EXPECT_EQ(ggml_block_elements(*type), elements) << name;
    EXPECT_EQ(ggml_block_bytes(*type), bytes) << name;
  }
  for (const uint32_t number : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 42u, 0xFFFFFFFFu}) {
    EXPECT_FALSE(find_ggml_type(number)) << number;
  }
  EXPECT_THROW(ggml_name(static_cast<GgmlType>(4)), std::invalid_argument);
}

TEST(GgmlType, RowsAreWholeBlocksAndSizesDoNotOverflow) {
  EXPECT_EQ(ggml_bytes(GgmlType::kF32, {2, 3}), 24u);
  EXPECT_EQ(ggml_bytes(GgmlType::kF32, {}), 4u);
  EXPECT_EQ(ggml_bytes(GgmlType::kQ8_0, {2, 64}), 136u);
  EXPECT_EQ(ggml_bytes(GgmlType::kQ8_0, {64, 2}), std::nullopt) << "128 elements, but no row is a block";
  EXPECT_EQ(ggml_bytes(GgmlType::kQ8_0, {}), std::nullopt);
  EXPECT_EQ(ggml_bytes(GgmlType::kQ6_K, {3, 256}), 630u);
  EXPECT_EQ(ggml_bytes(GgmlType::kQ6_K, {3, 0}), 0u);
  EXPECT_EQ(ggml_bytes(GgmlType::kF32, {-1}), std::nullopt);
  EXPECT_EQ(ggml_bytes(GgmlType::kF32, {int64_t{1} << 61}), std::nullopt);
  EXPECT_EQ(ggml_bytes(GgmlType::kF32, {int64_t{1} << 60}), uint64_t{1} << 62);
  EXPECT_EQ(ggml_bytes(GgmlType::kF32, {int64_t{1} << 32, int64_t{1} << 32}), std::nullopt);
}

}  // namespace
}  // namespace terse
