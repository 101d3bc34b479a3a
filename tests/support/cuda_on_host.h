// Runs the CUDA kernels in loops on the host, with the launchers, grids and bodies of the GPU. Lanes run one after the
// other in place of a warp. Only the launch itself and the shuffle instruction stay untested.
#pragma once

#include <gtest/gtest.h>

#include "trainer/device.h"
#include "trainer/kernels/cuda/launch.h"

namespace terse::support {

namespace cuda = trainer::kernels::cuda;

struct LanesInTurn {
  template <class F>
  void each(const F& f) const {
    for (int lane = 0; lane < cuda::kLanes; ++lane) f(lane);
  }
  // The butterfly reduction of the GPU: in every round each lane adds the value of the lane at this distance.
  template <class F>
  float sum(const F& f) const {
    float lanes[cuda::kLanes], next[cuda::kLanes];
    for (int lane = 0; lane < cuda::kLanes; ++lane) lanes[lane] = f(lane);
    for (int distance = cuda::kLanes / 2; distance > 0; distance /= 2) {
      for (int lane = 0; lane < cuda::kLanes; ++lane) next[lane] = lanes[lane] + lanes[lane ^ distance];
      for (int lane = 0; lane < cuda::kLanes; ++lane) lanes[lane] = next[lane];
    }
    return lanes[0];
  }
};

struct HostGrid {
  template <class Body>
  const char* threads(int64_t units, const Body& body) const {
    for (int64_t block = 0; block < cuda::ceil_div(units, cuda::kThreads); ++block) {
      for (int thread = 0; thread < cuda::kThreads; ++thread) {
        const int64_t unit = cuda::thread_unit(block, thread);
        if (unit < units) body(unit);
      }
    }
    return nullptr;
  }
  template <class Body>
  const char* warps(int64_t units, const Body& body) const {
    for (int64_t block = 0; block < cuda::ceil_div(units, cuda::kWarps); ++block) {
      for (int thread = 0; thread < cuda::kThreads; thread += cuda::kLanes) {
        const int64_t unit = cuda::warp_unit(block, thread);
        if (unit < units) body(LanesInTurn{}, unit);
      }
    }
    return nullptr;
  }
};

inline const cuda::Table& cuda_on_host() {
  static const cuda::Table table = {
      [](const cuda::RmsNorm& args, cuda::Stream) { return cuda::launch::rms_norm(args, HostGrid{}); },
      [](const cuda::RmsNormGrad& args, cuda::Stream) { return cuda::launch::rms_norm_backward(args, HostGrid{}); },
      [](const cuda::SplitRope& args, cuda::Stream) { return cuda::launch::split_rope(args, HostGrid{}); },
      [](const cuda::SwiGlu& args, cuda::Stream) { return cuda::launch::swiglu(args, HostGrid{}); },
      [](const cuda::SwiGlu& args, cuda::Stream) { return cuda::launch::swiglu_backward(args, HostGrid{}); },
      [](const cuda::AdamW& args, cuda::Stream) { return cuda::launch::adamw(args, HostGrid{}); },
  };
  return table;
}

// A test that runs twice: with the kernels on the host and, on a machine with a GPU, with those of the GPU. Instantiate
// it with TERSE_ON_HOST_AND_GPU. scripts/smoke_gpu.sh selects the tests of the GPU by their name.
class OnHostAndGpu : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    torch::manual_seed(7);
    if (!GetParam()) return;
    device_ = trainer::choose_device("auto");
    if (!device_.is_cuda()) GTEST_SKIP() << "no GPU here: the kernels ran on the host only";
    table_ = cuda::table();
  }

  torch::Device device_ = torch::kCPU;
  const cuda::Table* table_ = &cuda_on_host();
};

#define TERSE_ON_HOST_AND_GPU(fixture)                               \
  INSTANTIATE_TEST_SUITE_P(Host, fixture, ::testing::Values(false)); \
  INSTANTIATE_TEST_SUITE_P(Gpu, fixture, ::testing::Values(true))

}  // namespace terse::support
