// The GPU side of the kernels: two __global__ functions, the warp, and the table. Arithmetic and indexing are in the
// headers, so that tests can run them on the host.
#include <cuda_runtime.h>

#include "trainer/kernels/cuda/launch.h"

namespace terse::trainer::kernels::cuda {

namespace {

// The lanes of one warp. All 32 take part in every shuffle, because a unit is assigned to a whole warp.
struct WarpTeam {
  int lane;

  template <class F>
  __device__ void each(const F& f) const {
    f(lane);
  }
  template <class F>
  __device__ float sum(const F& f) const {
    float total = f(lane);
    for (int distance = kLanes / 2; distance > 0; distance /= 2) total += __shfl_xor_sync(0xffffffffu, total, distance);
    return total;
  }
};

template <class Body>
__global__ void __launch_bounds__(kThreads) threads_kernel(Body body, int64_t units) {
  const int64_t unit = thread_unit(blockIdx.x, static_cast<int>(threadIdx.x));
  if (unit < units) body(unit);
}

template <class Body>
__global__ void __launch_bounds__(kThreads) warps_kernel(Body body, int64_t units) {
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t unit = warp_unit(blockIdx.x, thread);
  if (unit < units) body(WarpTeam{lane_of(thread)}, unit);
}

struct Gpu {
  Stream stream;

  template <class Body>
  const char* threads(int64_t units, const Body& body) const {
    return launch(threads_kernel<Body>, ceil_div(units, kThreads), units, body);
  }
  template <class Body>
  const char* warps(int64_t units, const Body& body) const {
    return launch(warps_kernel<Body>, ceil_div(units, kWarps), units, body);
  }

 private:
  template <class Body>
  const char* launch(void (*kernel)(Body, int64_t), int64_t blocks, int64_t units, const Body& body) const {
    if (blocks == 0) return nullptr;
    if (blocks > kMaxBlocks) return "the launch needs more blocks than a CUDA grid can have";
    kernel<<<static_cast<unsigned>(blocks), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(body, units);
    const cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
  }
};

}  // namespace

extern const Table kTable;
const Table kTable = {
    [](const RmsNorm& args, Stream stream) { return launch::rms_norm(args, Gpu{stream}); },
    [](const RmsNormGrad& args, Stream stream) { return launch::rms_norm_backward(args, Gpu{stream}); },
    [](const SplitRope& args, Stream stream) { return launch::split_rope(args, Gpu{stream}); },
    [](const SwiGlu& args, Stream stream) { return launch::swiglu(args, Gpu{stream}); },
    [](const SwiGlu& args, Stream stream) { return launch::swiglu_backward(args, Gpu{stream}); },
    [](const AdamW& args, Stream stream) { return launch::adamw(args, Gpu{stream}); },
};

}  // namespace terse::trainer::kernels::cuda
