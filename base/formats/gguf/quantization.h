// Converts weights between fp32 and the types of GGUF files. The layouts and formulas are those of ggml's reference
// (https://github.com/ggml-org/ggml, src/ggml-quants.c, dequantize_row_* and quantize_row_q8_0_ref).
//
// All arithmetic is fp32 in the order of the reference, so the results have the same bits as those of the Python
// package `gguf`. The bits of a NaN depend on the processor there, so only these may differ.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/formats/gguf/ggml_type.h"

namespace terse {

// Whether dequantize() knows this type: F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K and Q6_K.
bool can_dequantize(GgmlType type);
// Whether quantize() knows this type: F32, F16, BF16 and Q8_0.
bool can_quantize(GgmlType type);

// Converts whole blocks to fp32. `values` has as many elements as the blocks. Throws std::invalid_argument when the
// sizes do not fit or the type is unknown.
void dequantize(GgmlType type, std::string_view bytes, std::span<float> values);

// Converts fp32 to whole blocks, and returns their bytes. F16 and BF16 round to the nearest value, of two equally near
// ones to the even one; what is too large becomes infinite, and a NaN stays one.
//
// Q8_0 cannot hold a value that is not finite, or a block whose largest value exceeds 127 x 65504. Then the function
// throws DataError, which names `tensor` and the value. Throws std::invalid_argument when the values fill no whole
// blocks or the type is unknown.
std::string quantize(GgmlType type, std::span<const float> values, std::string_view tensor);

// One value of F16 and BF16, by its bits.
float half_to_float(uint16_t bits);
uint16_t float_to_half(float value);
float bfloat16_to_float(uint16_t bits);
uint16_t float_to_bfloat16(float value);

}  // namespace terse
