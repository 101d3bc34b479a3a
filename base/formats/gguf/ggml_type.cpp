// Holds the one table of types: their numbers, names, and the sizes of their blocks.
#include "base/formats/gguf/ggml_type.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <stdexcept>

#include "base/formats/tensor_shape.h"

namespace terse {

namespace {

struct Info {
  uint32_t number;
  std::string_view name;
  int64_t elements;  // of a block
  int64_t bytes;     // of a block
};

constexpr Info kTypes[] = {
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},      {3, "Q4_1", 32, 20},
    {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},      {8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 40},
    {10, "Q2_K", 256, 84},    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},   {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74},
    {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},   {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},
    {22, "IQ2_S", 256, 82},   {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},        {28, "F64", 1, 8},        {29, "IQ1_M", 256, 56},
    {30, "BF16", 1, 2},       {34, "TQ1_0", 256, 54},   {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},
    {40, "NVFP4", 64, 36},    {41, "Q1_0", 128, 18},
};

const Info& info(GgmlType type) {
  const auto found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                  [&](const Info& known) { return known.number == static_cast<uint32_t>(type); });
  if (found == std::end(kTypes)) throw std::invalid_argument("no ggml type " + std::to_string(uint32_t(type)));
  return *found;
}

}  // namespace

std::optional<GgmlType> find_ggml_type(uint32_t number) {
  for (const Info& known : kTypes) {
    if (known.number == number) return static_cast<GgmlType>(number);
  }
  return std::nullopt;
}

std::string_view ggml_name(GgmlType type) {
  return info(type).name;
}

int64_t ggml_block_elements(GgmlType type) {
  return info(type).elements;
}

int64_t ggml_block_bytes(GgmlType type) {
  return info(type).bytes;
}

std::optional<uint64_t> ggml_bytes(GgmlType type, const std::vector<int64_t>& shape) {
  const Info& known = info(type);
  const std::optional<int64_t> elements = element_count(shape);
  const int64_t row = shape.empty() ? 1 : shape.back();
  int64_t bytes = 0;
  if (!elements || row % known.elements != 0) return std::nullopt;
  if (__builtin_mul_overflow(*elements / known.elements, known.bytes, &bytes)) return std::nullopt;
  return static_cast<uint64_t>(bytes);
}

}  // namespace terse
