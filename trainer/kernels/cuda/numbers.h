// Numbers and memory access for code that runs on the GPU and, in tests, on the host. Both must compute the same bits.
// So this file uses no intrinsics, and files that include it are compiled without contraction of a * b + c.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define TERSE_BOTH __host__ __device__
#else
#define TERSE_BOTH
#endif

namespace terse::trainer::kernels::cuda {

// The upper half of an fp32 number.
struct Bf16 {
  uint16_t bits;
};

TERSE_BOTH inline float to_float(float x) {
  return x;
}

TERSE_BOTH inline float to_float(Bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

template <class T>
TERSE_BOTH inline T rounded(float x);

template <>
TERSE_BOTH inline float rounded<float>(float x) {
  return x;
}

// Rounds to nearest, ties to even. A NaN stays a NaN, as in LibTorch.
template <>
TERSE_BOTH inline Bf16 rounded<Bf16>(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  if (x != x) return {0x7fc0};
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

constexpr int kPack = 8;  // elements that one lane handles at a time, whatever their type

template <class T>
struct alignas(16) Bytes16 {
  static constexpr int kCount = 16 / sizeof(T);
  T values[kCount];
};

// Loads the elements p[0 .. min(left, kPack)) as fp32, and zeros past the end. Whole: all kPack elements exist and p is
// aligned to 16 bytes, so that the GPU moves 16 bytes per instruction.
template <bool Whole, class T>
TERSE_BOTH inline void load(const T* p, int64_t left, float (&out)[kPack]) {
  if constexpr (Whole) {
    constexpr int kCount = Bytes16<T>::kCount;
    for (int i = 0; i < kPack; i += kCount) {
      const Bytes16<T> bytes = *reinterpret_cast<const Bytes16<T>*>(p + i);
      for (int j = 0; j < kCount; ++j) out[i + j] = to_float(bytes.values[j]);
    }
  } else {
    for (int i = 0; i < kPack; ++i) out[i] = i < left ? to_float(p[i]) : 0.0f;
  }
}

template <bool Whole, class T>
TERSE_BOTH inline void store(T* p, int64_t left, const float (&values)[kPack]) {
  if constexpr (Whole) {
    constexpr int kCount = Bytes16<T>::kCount;
    for (int i = 0; i < kPack; i += kCount) {
      Bytes16<T> bytes;
      for (int j = 0; j < kCount; ++j) bytes.values[j] = rounded<T>(values[i + j]);
      *reinterpret_cast<Bytes16<T>*>(p + i) = bytes;
    }
  } else {
    for (int i = 0; i < kPack; ++i)
      if (i < left) p[i] = rounded<T>(values[i]);
  }
}

}  // namespace terse::trainer::kernels::cuda
