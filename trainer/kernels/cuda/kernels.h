// The kernels for NVIDIA GPUs, on plain row-major device pointers: what LibTorch needs several passes over memory for.
// Everything else on a GPU is LibTorch's own.
//
// Activations and weights are both fp32 or both bf16, statistics and arithmetic are fp32. Sums run in a fixed order, so
// a result depends neither on scheduling nor, forward, on the other rows.
//
// A launcher puts its work on `stream` and returns at once. It returns null, or the reason why nothing was launched, in
// words with static storage; require() turns that into an exception. Sizes are int64_t, strides count elements, a
// stride of 0 means "rows are contiguous". Shapes are checked by the callers. Nothing is launched for zero rows.
//
// No CUDA or torch header is included, so that anything may include this, with nvcc or without.
#pragma once

#include <cstdint>
#include <initializer_list>

namespace terse::trainer::kernels::cuda {

enum class Dtype { kFloat32, kBFloat16 };

using Stream = void*;  // a cudaStream_t; null is the default stream

// y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + eps), for `groups` vectors of `width` in each row, as in
// kernels::RmsNorm.
struct RmsNorm {
  Dtype dtype = Dtype::kFloat32;
  const void* x = nullptr;       // [rows, groups, width], rows x_stride apart
  const void* delta = nullptr;   // if given: x + delta, rounded to dtype, is what is normalised, and is written to
  void* sum = nullptr;           // sum. Both contiguous
  const void* weight = nullptr;  // [width]
  float eps = 0;
  void* y = nullptr;      // may be x
  float* rstd = nullptr;  // [rows, groups]
  int64_t rows = 0, groups = 1, width = 0;
  int64_t x_stride = 0, y_stride = 0;
};

struct RmsNormGrad {
  Dtype dtype = Dtype::kFloat32;
  const void* dy = nullptr;
  const void* x = nullptr;  // what was normalised (`sum` where delta was given)
  const void* weight = nullptr;
  const float* rstd = nullptr;
  const void* dsum = nullptr;  // if given, contiguous: gradient that reaches `sum` past the norm, added to dx
  void* dx = nullptr;          // may be dy
  void* dweight = nullptr;     // [width], added to
  float* partial = nullptr;    // scratch of rms_norm_slabs(rows * groups) * width floats
  int64_t rows = 0, groups = 1, width = 0;
  int64_t dy_stride = 0, x_stride = 0, dx_stride = 0;
};

// The rows of a weight gradient are summed in so many slabs, then the slabs: a function of the number of vectors alone.
int64_t rms_norm_slabs(int64_t vectors);

// Takes fused rows q|k|v apart and turns queries and keys by their positions, half-split as in kernels::Rope.
struct SplitRope {
  Dtype dtype = Dtype::kFloat32;
  void* qkv = nullptr;                                        // [rows, (H + 2 KV) C]
  void* q = nullptr;                                          // [rows, H, C]
  void* k = nullptr;                                          // [rows, KV, C]
  void* v = nullptr;                                          // [rows, KV, C]
  const int64_t* positions = nullptr;                         // [rows], each below the number of positions in the table
  const float* table = nullptr;                               // [positions, C]: C/2 cosines, then C/2 sines
  int64_t rows = 0, heads = 0, kv_heads = 0, head_width = 0;  // C: any even number
  bool inverse = false;  // turn back and join: qkv is written from q, k and v. The backward pass
};

// h[rows, F] = silu(gate) * up, gate_up[rows, 2F] = gate | up.
struct SwiGlu {
  Dtype dtype = Dtype::kFloat32;
  const void* gate_up = nullptr;
  void* h = nullptr;          // written by the forward pass
  const void* dh = nullptr;   // read by the backward pass
  void* d_gate_up = nullptr;  // written by the backward pass; may be gate_up
  int64_t rows = 0, ffn_width = 0;
};

// One AdamW update of a flat buffer in one pass: decay of the first `decayed` elements, moments of the clipped
// gradient, step, and the bf16 copy of the weights where there is one.
//   p -= lr decay p;  m += (1 - beta1) (g - m);  v = beta2 v + (1 - beta2) g^2;
//   p -= lr / correction1 * m / (sqrt(v / correction2) + eps), correction_i = 1 - beta_i^updates.
struct AdamW {
  float* master = nullptr;
  const float* grad = nullptr;
  float* m = nullptr;
  float* v = nullptr;
  void* working = nullptr;  // bf16; may be null
  int64_t count = 0, decayed = 0;
  double clip = 1;  // every gradient is multiplied by it
  double lr = 0, beta1 = 0, beta2 = 0, eps = 0, weight_decay = 0;
  double correction1 = 1, correction2 = 1;
};

struct Table {
  const char* (*rms_norm)(const RmsNorm& args, Stream stream);
  const char* (*rms_norm_backward)(const RmsNormGrad& args, Stream stream);
  const char* (*split_rope)(const SplitRope& args, Stream stream);
  const char* (*swiglu)(const SwiGlu& args, Stream stream);
  const char* (*swiglu_backward)(const SwiGlu& args, Stream stream);
  const char* (*adamw)(const AdamW& args, Stream stream);
};

// Null where the program was built without them (TERSE_CUDA). They run on the GPUs that LibTorch's CUDA libraries, once
// loaded, run on.
const Table* table();

// Throws MachineError naming the kernel and its sizes when a launcher returned a reason.
void require(const char* reason, const char* kernel, std::initializer_list<int64_t> sizes);

}  // namespace terse::trainer::kernels::cuda
