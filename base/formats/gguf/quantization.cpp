// Each type has a function for one block. Every product and sum is rounded by itself: base/CMakeLists.txt keeps the
// compiler from fusing them.
#include "base/formats/gguf/quantization.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

#include "base/errors.h"
#include "base/formats/tensor_shape.h"

namespace terse {

namespace {

constexpr uint32_t kInfinity = 0x7F800000;  // the bits of an fp32 infinity
constexpr int kSmallBlock = 32;             // elements of Q4_0 to Q8_0

template <typename T>
T load(const uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

float scale_at(const uint8_t* from) {
  return half_to_float(load<uint16_t>(from));
}

// --- Types with blocks of 32. A scale, perhaps a minimum, then 4, 5 or 8 bits for each element. The low half of byte i
// holds element i, its high half element i + 16.

void decode_q4_0(const uint8_t* block, float* out) {
  const float d = scale_at(block);
  const uint8_t* const q = block + 2;
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((q[i] & 15) - 8);
    out[i + 16] = d * static_cast<float>((q[i] >> 4) - 8);
  }
}

void decode_q4_1(const uint8_t* block, float* out) {
  const float d = scale_at(block), m = scale_at(block + 2);
  const uint8_t* const q = block + 4;
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(q[i] & 15) + m;
    out[i + 16] = d * static_cast<float>(q[i] >> 4) + m;
  }
}

// The fifth bit of element i is bit i of `high`.
void decode_q5_0(const uint8_t* block, float* out) {
  const float d = scale_at(block);
  const auto high = load<uint32_t>(block + 2);
  const uint8_t* const q = block + 6;
  for (int i = 0; i < 16; ++i) {
    const int low_element = (q[i] & 15) | static_cast<int>((high >> i & 1) << 4);
    const int high_element = (q[i] >> 4) | static_cast<int>((high >> (i + 16) & 1) << 4);
    out[i] = d * static_cast<float>(low_element - 16);
    out[i + 16] = d * static_cast<float>(high_element - 16);
  }
}

void decode_q5_1(const uint8_t* block, float* out) {
  const float d = scale_at(block), m = scale_at(block + 2);
  const auto high = load<uint32_t>(block + 4);
  const uint8_t* const q = block + 8;
  for (int i = 0; i < 16; ++i) {
    const int low_element = (q[i] & 15) | static_cast<int>((high >> i & 1) << 4);
    const int high_element = (q[i] >> 4) | static_cast<int>((high >> (i + 16) & 1) << 4);
    out[i] = d * static_cast<float>(low_element) + m;
    out[i + 16] = d * static_cast<float>(high_element) + m;
  }
}

void decode_q8_0(const uint8_t* block, float* out) {
  const float d = scale_at(block);
  for (int i = 0; i < kSmallBlock; ++i) out[i] = static_cast<float>(static_cast<int8_t>(block[2 + i])) * d;
}

// --- Types with blocks of 256, which have groups of 32 or 16 elements with a scale each.

// The scales and minima of 8 groups, 6 bits each, in 12 bytes: bytes 0 to 3 hold scales 0 to 3 in their low 6 bits,
// bytes 4 to 7 minima 0 to 3, and bytes 8 to 11 the low 4 bits of scales and minima 4 to 7. The upper 2 bits of those
// are at the top of the first 8 bytes.
struct GroupScales {
  float scale[8];
  float minimum[8];

  GroupScales(const uint8_t* packed, float d, float d_minimum) {
    for (int i = 0; i < 4; ++i) {
      const uint8_t low = packed[i], middle = packed[i + 4], high = packed[i + 8];
      scale[i] = d * static_cast<float>(low & 63);
      scale[i + 4] = d * static_cast<float>((high & 15) | (low >> 2 & 48));
      minimum[i] = d_minimum * static_cast<float>(middle & 63);
      minimum[i + 4] = d_minimum * static_cast<float>((high >> 4) | (middle >> 2 & 48));
    }
  }
};

void decode_q4_k(const uint8_t* block, float* out) {
  const GroupScales groups(block + 4, scale_at(block), scale_at(block + 2));
  for (int group = 0; group < 8; ++group, out += 32) {
    const uint8_t* const q = block + 16 + group / 2 * 32;
    const int shift = group % 2 * 4;
    const float d = groups.scale[group], m = groups.minimum[group];
    for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(q[i] >> shift & 15) - m;
  }
}

// The fifth bit of element i of a group is the bit with the group's number of byte i.
void decode_q5_k(const uint8_t* block, float* out) {
  const GroupScales groups(block + 4, scale_at(block), scale_at(block + 2));
  const uint8_t* const high = block + 16;
  for (int group = 0; group < 8; ++group, out += 32) {
    const uint8_t* const q = block + 48 + group / 2 * 32;
    const int shift = group % 2 * 4;
    const float d = groups.scale[group], m = groups.minimum[group];
    for (int i = 0; i < 32; ++i) {
      out[i] = d * static_cast<float>((q[i] >> shift & 15) | (high[i] >> group & 1) << 4) - m;
    }
  }
}

// Each half of the block has 4 rows of 32 elements. Rows 0 and 1 have their low 4 bits in the low halves of 64 bytes,
// rows 2 and 3 in the high halves, and all rows have their upper 2 bits in the same 32 bytes.
void decode_q6_k(const uint8_t* block, float* out) {
  const float d = scale_at(block + 208);
  for (int row = 0; row < 8; ++row, out += 32) {
    const int half = row / 4, part = row % 4;
    const uint8_t* const low = block + half * 64 + part % 2 * 32;
    const uint8_t* const high = block + 128 + half * 32;
    const uint8_t* const scales = block + 192 + row * 2;
    const int low_shift = part / 2 * 4, high_shift = part * 2;
    for (int group = 0; group < 2; ++group) {
      const float scale = d * static_cast<float>(static_cast<int8_t>(scales[group]));
      for (int i = group * 16; i < group * 16 + 16; ++i) {
        const int q = (low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4;
        out[i] = scale * static_cast<float>(q - 32);
      }
    }
  }
}

void decode_f16(const uint8_t* from, float* out) {
  *out = half_to_float(load<uint16_t>(from));
}

void decode_bf16(const uint8_t* from, float* out) {
  *out = bfloat16_to_float(load<uint16_t>(from));
}

// The function is a template argument, so that it becomes part of the loop.
template <auto decode>
void decode_all(GgmlType type, std::string_view bytes, std::span<float> values) {
  const auto block_bytes = static_cast<size_t>(ggml_block_bytes(type));
  const auto elements = static_cast<size_t>(ggml_block_elements(type));
  const auto* from = reinterpret_cast<const uint8_t*>(bytes.data());
  for (size_t at = 0; at < values.size(); at += elements, from += block_bytes) decode(from, values.data() + at);
}

using DecodeAll = void (*)(GgmlType, std::string_view, std::span<float>);

void copy_all(GgmlType, std::string_view bytes, std::span<float> values) {
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
}

DecodeAll decoder(GgmlType type) {
  switch (type) {
    case GgmlType::kF32:
      return copy_all;
    case GgmlType::kF16:
      return decode_all<decode_f16>;
    case GgmlType::kBF16:
      return decode_all<decode_bf16>;
    case GgmlType::kQ4_0:
      return decode_all<decode_q4_0>;
    case GgmlType::kQ4_1:
      return decode_all<decode_q4_1>;
    case GgmlType::kQ5_0:
      return decode_all<decode_q5_0>;
    case GgmlType::kQ5_1:
      return decode_all<decode_q5_1>;
    case GgmlType::kQ8_0:
      return decode_all<decode_q8_0>;
    case GgmlType::kQ4_K:
      return decode_all<decode_q4_k>;
    case GgmlType::kQ5_K:
      return decode_all<decode_q5_k>;
    case GgmlType::kQ6_K:
      return decode_all<decode_q6_k>;
  }
  return nullptr;  // a type of the format that is not converted
}

// Rounds half away from zero, for numbers up to 2^22. The largest number below 0.5 is added, because 0.5 would lift
// that number itself to 1.
int8_t round_to_int8(float value) {
  constexpr float kAlmostHalf = 0.49999997f;
  return static_cast<int8_t>(static_cast<int>(value + std::copysign(kAlmostHalf, value)));
}

void encode_q8_0(std::span<const float> values, char* out, size_t first, std::string_view tensor) {
  float largest = 0;
  for (const float value : values) {
    const float size = std::abs(value);
    if (size > largest || std::isnan(size)) largest = size;  // nothing exceeds a NaN, so it stays
  }
  const float d = largest / 127.0f;
  const uint16_t scale = float_to_half(d);
  if (!(std::abs(half_to_float(scale)) < std::numeric_limits<float>::infinity())) {
    throw DataError(fmt::format("tensor {} has the value {} among elements {} to {}, which Q8_0 cannot hold",
                                quote(tensor), largest, first, first + values.size() - 1));
  }
  // Where fp32 cannot hold the reciprocal, the scale is 0 as F16, so the elements mean nothing.
  const float reciprocal = 1.0f / d;
  const float inverse = std::isfinite(reciprocal) ? reciprocal : 0.0f;
  std::memcpy(out, &scale, sizeof(scale));
  for (size_t i = 0; i < values.size(); ++i) out[2 + i] = round_to_int8(values[i] * inverse);
}

}  // namespace

float half_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 31, fraction = bits & 0x3FF;
  if (exponent == 31) return std::bit_cast<float>(sign | kInfinity | fraction << 13);
  if (exponent == 0) {
    const float size = static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(size));
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  const uint32_t size = bits & 0x7FFFFFFF;
  uint32_t half = 0;
  if (size > kInfinity) {
    half = 0x7E00 | (size >> 13 & 0x3FF);  // a quiet NaN
  } else if (size >= std::bit_cast<uint32_t>(65536.0f)) {
    half = 0x7C00;
  } else if (size < std::bit_cast<uint32_t>(0x1p-14f)) {
    // The last bit of a sum with 0.5 is worth 2^-24, as that of a subnormal F16, so the processor rounds.
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(size) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  } else {
    half = (size + 0xFFF + (size >> 13 & 1) - (112u << 23)) >> 13;
  }
  return static_cast<uint16_t>(sign | half);
}

float bfloat16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t float_to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFF) > kInfinity) return static_cast<uint16_t>(bits >> 16 | 0x40);  // a quiet NaN
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

bool can_dequantize(GgmlType type) {
  return decoder(type) != nullptr;
}

bool can_quantize(GgmlType type) {
  return type == GgmlType::kF32 || type == GgmlType::kF16 || type == GgmlType::kBF16 || type == GgmlType::kQ8_0;
}

void dequantize(GgmlType type, std::string_view bytes, std::span<float> values) {
  const DecodeAll decode = decoder(type);
  if (decode == nullptr) throw std::invalid_argument(fmt::format("{} is not converted", ggml_name(type)));
  const auto elements = static_cast<size_t>(ggml_block_elements(type));
  const auto block_bytes = static_cast<size_t>(ggml_block_bytes(type));
  if (bytes.size() % block_bytes != 0 || values.size() != bytes.size() / block_bytes * elements) {
    throw std::invalid_argument(
        fmt::format("{} bytes of {} are not {} elements", bytes.size(), ggml_name(type), values.size()));
  }
  decode(type, bytes, values);
}

std::string quantize(GgmlType type, std::span<const float> values, std::string_view tensor) {
  if (!can_quantize(type)) throw std::invalid_argument(fmt::format("nothing is converted to {}", ggml_name(type)));
  const auto elements = static_cast<size_t>(ggml_block_elements(type));
  const auto block_bytes = static_cast<size_t>(ggml_block_bytes(type));
  if (values.size() % elements != 0) {
    throw std::invalid_argument(fmt::format("{} elements fill no whole blocks of {}", values.size(), ggml_name(type)));
  }
  std::string bytes(values.size() / elements * block_bytes, '\0');
  const auto put = [&](auto convert) {
    for (size_t i = 0; i < values.size(); ++i) {
      const uint16_t value = convert(values[i]);
      std::memcpy(bytes.data() + i * sizeof(value), &value, sizeof(value));
    }
  };
  if (type == GgmlType::kF16) {
    put(float_to_half);
  } else if (type == GgmlType::kBF16) {
    put(float_to_bfloat16);
  } else if (type == GgmlType::kQ8_0) {
    for (size_t i = 0; i < values.size(); i += elements) {
      encode_q8_0(values.subspan(i, elements), bytes.data() + i / elements * block_bytes, i, tensor);
    }
  } else if (!bytes.empty()) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
  }
  return bytes;
}

}  // namespace terse
