// The kernels for NVIDIA GPUs, on plain row-major device pointers. They fuse operations for which LibTorch needs
// several passes over memory. LibTorch does everything else on a GPU.
//
// Activations and weights are both fp32 or both bf16, statistics and arithmetic are fp32. Sums run in a fixed order. So
// a result does not depend on scheduling, and a forward result does not depend on the other rows.
//
// A launcher enqueues its work on `stream` and returns at once. It returns null, or a string with static storage that
// is the reason why nothing was launched; require() turns it into an exception. Sizes are int64_t, strides count
// elements, a stride of 0 means "rows are contiguous". The callers check shapes. Nothing is launched for zero rows.
//
// This header includes no CUDA or torch header, so any file may include it, with or without nvcc.
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
  const void* delta = nullptr;   // contiguous, may be null: x + delta, rounded to dtype, is normalised
  void* sum = nullptr;           // contiguous, receives x + delta
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
  const void* dsum = nullptr;  // contiguous, may be null: gradient of `sum` that bypasses the norm, added to dx
  void* dx = nullptr;          // may be dy
  void* dweight = nullptr;     // [width], added to
  float* partial = nullptr;    // scratch of rms_norm_slabs(rows * groups) * width floats
  int64_t rows = 0, groups = 1, width = 0;
  int64_t dy_stride = 0, x_stride = 0, dx_stride = 0;
};

// Returns the number of slabs in which a weight gradient is summed: first the rows of each slab, then the slabs. It
// depends on the number of vectors alone.
int64_t rms_norm_slabs(int64_t vectors);

// Splits fused rows q|k|v and rotates queries and keys by their positions, half-split as in kernels::Rope.
struct SplitRope {
  Dtype dtype = Dtype::kFloat32;
  void* qkv = nullptr;                                      // [rows, (H + 2 KV) C]
  void* q = nullptr;                                        // [rows, H, C]
  void* k = nullptr;                                        // [rows, KV, C]
  void* v = nullptr;                                        // [rows, KV, C]
  const int64_t* positions = nullptr;                       // [rows], each below the number of positions in the table
  const float* table = nullptr;                             // [positions, C]: C/2 cosines, then C/2 sines
  int64_t rows = 0, heads = 0, kv_heads = 0, head_dim = 0;  // C: any even number
  bool inverse = false;  // rotate back and write qkv from q, k and v, for the backward pass
};

// h[rows, F] = silu(gate) * up, gate_up[rows, 2F] = gate | up.
struct SwiGlu {
  Dtype dtype = Dtype::kFloat32;
  const void* gate_up = nullptr;
  void* h = nullptr;          // written by the forward pass
  const void* dh = nullptr;   // read by the backward pass
  void* d_gate_up = nullptr;  // written by the backward pass; may be gate_up
  int64_t rows = 0, intermediate_size = 0;
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

// Returns null when the program was built without these kernels (TERSE_CUDA). They run on the GPUs that LibTorch uses,
// once its CUDA libraries are loaded.
const Table* table();

// Throws MachineError naming the kernel and its sizes when a launcher returned a reason.
void require(const char* reason, const char* kernel, std::initializer_list<int64_t> sizes);

}  // namespace terse::trainer::kernels::cuda
