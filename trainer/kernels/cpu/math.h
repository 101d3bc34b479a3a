// Our own exp and log, which give the same bits for every vector width and on every machine.
#pragma once

#include "trainer/kernels/cpu/vec.h"

namespace terse::trainer::kernels::TERSE_ISA {

// e^x = 2^n e^r with |r| <= ln(2) / 2: Cody-Waite reduction and the polynomial of Cephes expf. 2^n is applied in two
// steps, so that results are correct down to the smallest normal number and up to infinity. NaN stays NaN (see max and
// min in vec.h).
TERSE_INLINE F16 exp(F16 x) {
  x = min(splat(89.0f), max(splat(-104.0f), x));  // e^89 overflows, e^-104 is zero
  const I16 n = round_to_int(mul(x, splat(1.44269504088896341f)));
  const F16 n_float = to_float(n);
  const F16 r = fnma(n_float, splat(-2.12194440e-4f), fnma(n_float, splat(0.693359375f), x));
  F16 p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = add(fma(mul(r, r), p, r), splat(1.0f));
  const I16 n_half = half(n);
  return mul(mul(p, pow2(n_half)), pow2(sub(n, n_half)));
}

// ln x of one normal number: x = 2^k m with sqrt(1/2) <= m < sqrt(2), and the polynomial of Cephes logf for ln m.
TERSE_INLINE float log(float x) {
  if (!(x > 0.0f)) return x == 0.0f ? -__builtin_inff() : __builtin_nanf("");
  if (x == __builtin_inff()) return x;
  const int32_t bits = __builtin_bit_cast(int32_t, x);
  const int32_t exponent = (bits - 0x3f3504f3) >> 23;  // 0x3f3504f3 is sqrt(1/2)
  const float f = __builtin_bit_cast(float, bits - (exponent << 23)) - 1.0f;
  const float scale = static_cast<float>(exponent);
  float p = 7.0376836292e-2f;
  p = __builtin_fmaf(p, f, -1.1514610310e-1f);
  p = __builtin_fmaf(p, f, 1.1676998740e-1f);
  p = __builtin_fmaf(p, f, -1.2420140846e-1f);
  p = __builtin_fmaf(p, f, 1.4249322787e-1f);
  p = __builtin_fmaf(p, f, -1.6668057665e-1f);
  p = __builtin_fmaf(p, f, 2.0000714765e-1f);
  p = __builtin_fmaf(p, f, -2.4999993993e-1f);
  p = __builtin_fmaf(p, f, 3.3333331174e-1f);
  const float square = f * f;
  float rest = __builtin_fmaf(p * f, square, scale * -2.12194440e-4f);
  rest = __builtin_fmaf(-0.5f, square, rest);
  return __builtin_fmaf(scale, 0.693359375f, f + rest);
}

}  // namespace terse::trainer::kernels::TERSE_ISA
