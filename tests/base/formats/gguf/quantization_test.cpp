// Tests conversions bit for bit: against the Python package (fixtures/quantized.gguf), and F16 and BF16 against their
// definitions for all values and many ties.
#include "base/formats/gguf/quantization.h"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>

#include "base/errors.h"
#include "base/formats/gguf/file.h"
#include "base/formats/tensor_shape.h"
#include "tests/support/tensor_files.h"

namespace terse {
namespace {

using support::data_error;
using support::format_fixture;
using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

const std::vector<std::string> kTypes = {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "F16", "BF16"};

// The values of an F32 tensor.
std::vector<float> floats(const GgufFile& file, const std::string& name) {
  const GgufTensor& tensor = file.tensor(name);
  EXPECT_EQ(tensor.type, GgmlType::kF32) << name;
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

// Equal bits, except that a NaN equals any other.
bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b);
}

TEST(Quantization, RandomBlocksMeanWhatThePythonPackageSays) {
  const GgufFile file(format_fixture("quantized.gguf"));
  for (const std::string& name : kTypes) {
    const GgufTensor& tensor = file.tensor(name);
    ASSERT_EQ(ggml_name(tensor.type), name);
    const std::vector<float> expected = floats(file, name + ".values");
    ASSERT_EQ(expected.size(), 2048u);
    std::vector<float> found(expected.size());
    file.read_rows(tensor, 0, 8, found);
    size_t finite = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_TRUE(same(found[i], expected[i]))
          << name << "[" << i << "] is " << found[i] << ", expected " << expected[i];
      finite += std::isfinite(expected[i]);
    }
    EXPECT_GT(finite, 1024u) << name << ": most of the blocks must be numbers";
  }
}

TEST(Quantization, RowsAreThoseOfTheWholeTensor) {
  const GgufFile file(format_fixture("quantized.gguf"));
  for (const std::string& name : kTypes) {
    const GgufTensor& tensor = file.tensor(name);
    const std::vector<float> expected = floats(file, name + ".values");
    std::vector<float> found(512);
    file.read_rows(tensor, 3, 2, found);
    for (size_t i = 0; i < found.size(); ++i) ASSERT_TRUE(same(found[i], expected[3 * 256 + i])) << name << " " << i;
  }
}

TEST(Quantization, ValuesBecomeTheBlocksOfThePythonPackage) {
  const GgufFile file(format_fixture("quantized.gguf"));
  const std::vector<float> values = floats(file, "to_q8_0");
  const std::string blocks = quantize(GgmlType::kQ8_0, values, "w");
  const std::string_view expected = file.tensor("to_q8_0.blocks").bytes;
  ASSERT_EQ(blocks.size(), expected.size());
  for (size_t i = 0; i < blocks.size(); ++i)
    ASSERT_EQ(blocks[i], expected[i]) << "block " << i / 34 << ", byte " << i % 34;
}

TEST(Quantization, HalvesAreThoseOfThePythonPackage) {
  const GgufFile file(format_fixture("quantized.gguf"));
  const std::vector<float> values = floats(file, "to_half");
  for (const auto& [type, name] : {std::pair(GgmlType::kF16, "to_half.F16"), {GgmlType::kBF16, "to_half.BF16"}}) {
    const std::string halves = quantize(type, values, "w");
    std::vector<float> found(values.size()), expected(values.size());
    dequantize(type, halves, found);
    dequantize(type, file.tensor(name).bytes, expected);
    for (size_t i = 0; i < values.size(); ++i) {
      ASSERT_TRUE(same(found[i], expected[i])) << values[i] << " becomes " << found[i] << ", expected " << expected[i];
      ASSERT_EQ(std::isnan(found[i]), std::isnan(values[i]));
    }
  }
}

// The value of F16 or BF16 by its definition: sign, exponent and fraction.
double by_definition(uint32_t bits, int fraction_bits, int bias) {
  const int exponent_bits = 15 - fraction_bits;
  const int exponent = static_cast<int>(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
  const int fraction = static_cast<int>(bits) & ((1 << fraction_bits) - 1);
  double value = 0;
  if (exponent == (1 << exponent_bits) - 1) {
    value = fraction == 0 ? HUGE_VAL : std::nan("");
  } else if (exponent == 0) {
    value = std::ldexp(fraction, 1 - bias - fraction_bits);
  } else {
    value = std::ldexp((1 << fraction_bits) + fraction, exponent - bias - fraction_bits);
  }
  return bits >> 15 ? -value : value;
}

TEST(Quantization, EveryF16AndBF16MeansWhatItsBitsSayAndComesBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto narrow = static_cast<uint16_t>(bits);
    ASSERT_TRUE(same(half_to_float(narrow), static_cast<float>(by_definition(bits, 10, 15)))) << bits;
    ASSERT_TRUE(same(bfloat16_to_float(narrow), static_cast<float>(by_definition(bits, 7, 127)))) << bits;
    if (std::isnan(half_to_float(narrow))) {
      ASSERT_EQ(float_to_half(half_to_float(narrow)), narrow | 0x200) << "a NaN becomes quiet";
    } else {
      ASSERT_EQ(float_to_half(half_to_float(narrow)), narrow);
    }
    if (std::isnan(bfloat16_to_float(narrow))) {
      ASSERT_EQ(float_to_bfloat16(bfloat16_to_float(narrow)), narrow | 0x40) << "a NaN becomes quiet";
    } else {
      ASSERT_EQ(float_to_bfloat16(bfloat16_to_float(narrow)), narrow);
    }
  }
}

// Between each value and the next one: what is nearer to one of them becomes that one, and the middle the even one. All
// arithmetic is exact in double.
TEST(Quantization, RoundsToTheNearestAndInTheMiddleToTheEven) {
  for (uint32_t bits = 0; bits < 0x7C00; ++bits) {
    const auto low = static_cast<uint16_t>(bits), high = static_cast<uint16_t>(bits + 1);
    const double above = bits + 1 == 0x7C00 ? 65536 : by_definition(high, 10, 15);  // beyond it is infinity
    const auto middle = static_cast<float>((by_definition(low, 10, 15) + above) / 2);
    for (const uint16_t sign : {0, 0x8000}) {
      const auto rounded = [&](float value) { return float_to_half(sign ? -value : value) ^ sign; };
      ASSERT_EQ(rounded(middle), bits % 2 == 0 ? low : high) << bits;
      ASSERT_EQ(rounded(std::nextafter(middle, 0.0f)), low) << bits;
      ASSERT_EQ(rounded(std::nextafter(middle, kInfinity)), high) << bits;
    }
  }
  for (uint32_t bits = 0; bits < 0x7F80; ++bits) {
    const uint32_t middle = bits << 16 | 0x8000;
    for (const uint32_t sign : {0u, 0x80000000u}) {
      const auto rounded = [&](uint32_t value) {
        return float_to_bfloat16(std::bit_cast<float>(value | sign)) ^ sign >> 16;
      };
      ASSERT_EQ(rounded(middle), bits % 2 == 0 ? bits : bits + 1);
      ASSERT_EQ(rounded(middle - 1), bits);
      ASSERT_EQ(rounded(middle + 1), bits + 1);
    }
  }
}

TEST(Quantization, WhatF16CannotHoldIsInfinite) {
  EXPECT_EQ(float_to_half(65519.996f), 0x7BFF);
  EXPECT_EQ(float_to_half(65520.0f), 0x7C00);
  EXPECT_EQ(float_to_half(1e30f), 0x7C00);
  EXPECT_EQ(float_to_half(-kInfinity), 0xFC00);
  EXPECT_EQ(float_to_half(1e-30f), 0);
  EXPECT_EQ(float_to_half(-1e-30f), 0x8000);
  EXPECT_EQ(float_to_bfloat16(std::numeric_limits<float>::max()), 0x7F80);
}

// The quotient of each value and the scale, by the C library.
TEST(Quantization, Q8RoundsHalfAwayFromZero) {
  std::mt19937 random(1);
  std::vector<float> values(32);
  for (int trial = 0; trial < 2000; ++trial) {
    for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 509) - 254) * 0.25f;
    values[random() % 32] = 127;
    const std::string block = quantize(GgmlType::kQ8_0, values, "w");
    for (size_t i = 0; i < 32; ++i) {
      ASSERT_EQ(static_cast<int8_t>(block[2 + i]), std::lround(values[i])) << values[i];
    }
  }
}

TEST(Quantization, WhatQ8CannotHoldIsRefusedAndNamed) {
  std::vector<float> values(96, 1.0f);
  for (const float bad : {kInfinity, -kInfinity, std::nanf(""), 127 * 65600.0f, 3e38f}) {
    for (const size_t at : {32u, 63u}) {
      values[at] = bad;
      const std::string message = data_error([&] { quantize(GgmlType::kQ8_0, values, "blk.0"); });
      EXPECT_THAT(message, HasSubstr("tensor \"blk.0\" has the value ")) << bad;
      EXPECT_THAT(message, HasSubstr(" among elements 32 to 63, which Q8_0 cannot hold"));
      values[at] = 1;
    }
  }
}

TEST(Quantization, SizesMustFit) {
  std::vector<float> values(32);
  EXPECT_THROW(dequantize(GgmlType::kQ8_0, std::string(33, 'x'), values), std::invalid_argument);
  EXPECT_THROW(dequantize(GgmlType::kQ8_0, std::string(68, 'x'), values), std::invalid_argument);
  EXPECT_THROW(dequantize(GgmlType::kF32, std::string(127, 'x'), values), std::invalid_argument);
  EXPECT_THROW(dequantize(static_cast<GgmlType>(10), std::string(84, 'x'), values), std::invalid_argument);
  EXPECT_THROW(quantize(GgmlType::kQ8_0, std::span(values).first(31), "w"), std::invalid_argument);
  EXPECT_THROW(quantize(GgmlType::kQ4_0, values, "w"), std::invalid_argument);
  EXPECT_EQ(quantize(GgmlType::kF32, {}, "w"), "");
  dequantize(GgmlType::kF32, "", {});
}

TEST(Quantization, OnlyTheNamedTypesAreConverted) {
  std::string from, to;
  for (uint32_t number = 0; number < 64; ++number) {
    const auto type = find_ggml_type(number);
    if (!type) continue;
    if (can_dequantize(*type)) from += std::string(ggml_name(*type)) + " ";
    if (can_quantize(*type)) to += std::string(ggml_name(*type)) + " ";
  }
  EXPECT_EQ(from, "F32 F16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K BF16 ");
  EXPECT_EQ(to, "F32 F16 Q8_0 BF16 ");
}

TEST(Quantization, F32PassesUnchanged) {
  const std::vector<float> values = {1.5f, -0.0f, kInfinity, 1e-45f};
  std::vector<float> back(values.size());
  dequantize(GgmlType::kF32, quantize(GgmlType::kF32, values, "w"), back);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_TRUE(same(values[i], back[i]));
}

}  // namespace
}  // namespace terse
