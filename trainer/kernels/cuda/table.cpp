// Returns the GPU kernels if they were compiled in, and reports a kernel that could not be launched.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/errors.h"
#include "trainer/kernels/cuda/grid.h"
#include "trainer/kernels/cuda/kernels.h"

namespace terse::trainer::kernels::cuda {

#if TERSE_WITH_CUDA
extern const Table kTable;  // kernels.cu

const Table* table() {
  return &kTable;
}
#else
const Table* table() {
  return nullptr;
}
#endif

int64_t rms_norm_slabs(int64_t vectors) {
  return slabs_of(vectors).count;
}

void require(const char* reason, const char* kernel, std::initializer_list<int64_t> sizes) {
  if (reason == nullptr) return;
  throw MachineError(fmt::format(
      "the CUDA kernel {} could not be launched for sizes [{}]: {} (our kernels need compute capability 8.0 "
      "or newer; a build with TERSE_CUDA=OFF does without them)",
      kernel, fmt::join(sizes, ", "), reason));
}

}  // namespace terse::trainer::kernels::cuda
