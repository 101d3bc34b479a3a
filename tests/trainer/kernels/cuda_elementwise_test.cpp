// Runs the other GPU kernels on the host: bf16, SwiGLU, RoPE and AdamW. Compares them with the CPU kernels and with
// LibTorch.
#include <ATen/ops/_fused_adamw.h>

#include "tests/support/cuda_on_host.h"
#include "tests/trainer/kernels/support.h"

namespace terse::trainer::kernels {
namespace {

using support::cuda_on_host;
using torch::Tensor;

cuda::Dtype dtype_of(const Tensor& t) {
  return t.scalar_type() == torch::kFloat32 ? cuda::Dtype::kFloat32 : cuda::Dtype::kBFloat16;
}

TEST(KernelsCudaBf16, ConvertsAsLibTorchDoes) {
  // Tests every bf16 number, and fp32 numbers just above it, around the midpoint to the next one, and just below the
  // next one.
  std::vector<float> values;
  for (uint32_t high = 0; high <= 0xffff; ++high) {
    for (const uint32_t low : {0x0000u, 0x0001u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const uint32_t bits = high << 16 | low;
      float value;
      std::memcpy(&value, &bits, sizeof(value));
      values.push_back(value);
    }
  }
  const Tensor all = torch::tensor(values), halves = all.to(torch::kBFloat16), back = halves.to(torch::kFloat32);
  for (size_t i = 0; i < values.size(); ++i) {
    const float expected = back.data_ptr<float>()[i];
    const float found = cuda::to_float(cuda::rounded<cuda::Bf16>(values[i]));
    ASSERT_TRUE(std::isnan(values[i]) ? std::isnan(found) : same_bits(&found, &expected, 1)) << values[i];
  }
}

Tensor swiglu(const Tensor& gate_up) {
  Tensor h = torch::full({gate_up.size(0), gate_up.size(1) / 2}, 5.0, gate_up.options());
  EXPECT_EQ(cuda_on_host().swiglu({.dtype = dtype_of(h),
                                   .gate_up = gate_up.data_ptr(),
                                   .h = h.data_ptr(),
                                   .rows = h.size(0),
                                   .intermediate_size = h.size(1)},
                                  nullptr),
            nullptr);
  return h;
}

void swiglu_backward(const Tensor& gate_up, const Tensor& dh, const Tensor& d) {
  EXPECT_EQ(cuda_on_host().swiglu_backward({.dtype = dtype_of(dh),
                                            .gate_up = gate_up.data_ptr(),
                                            .dh = dh.data_ptr(),
                                            .d_gate_up = d.data_ptr(),
                                            .rows = dh.size(0),
                                            .intermediate_size = dh.size(1)},
                                           nullptr),
            nullptr);
}

TEST(KernelsCudaSwiGlu, AgreesWithTheCpu) {
  torch::manual_seed(1);
  for (const int64_t rows : {0, 1, 5}) {
    for (const int64_t width : {1, 7, 8, 9, 100, 2047, 2048, 2056}) {
      const Tensor x = torch::randn({rows, 2 * width}) * 4, dh = torch::randn({rows, width});
      Tensor expected = torch::empty_like(dh), d_expected = torch::empty_like(x), d = torch::full_like(x, 5.0);
      cpu().swiglu(x.data_ptr<float>(), expected.data_ptr<float>(), rows, width);
      cpu().swiglu_backward(x.data_ptr<float>(), dh.data_ptr<float>(), d_expected.data_ptr<float>(), rows, width);
      swiglu_backward(x, dh, d);
      // Each side computes exp within 2 units in the last place.
      EXPECT_TRUE(torch::allclose(swiglu(x), expected, 1e-6, 1e-6)) << width;
      EXPECT_TRUE(torch::allclose(d, d_expected, 1e-6, 2e-6)) << width;

      const Tensor half = x.to(torch::kBFloat16), dh_half = dh.to(torch::kBFloat16);
      const Tensor wide = half.to(torch::kFloat32), dh_wide = dh_half.to(torch::kFloat32);
      Tensor d_half = torch::full_like(half, 5.0);
      swiglu_backward(half, dh_half, d_half);
      swiglu_backward(wide, dh_wide, d);
      EXPECT_TRUE(torch::equal(swiglu(half), swiglu(wide).to(torch::kBFloat16))) << width;
      EXPECT_TRUE(torch::equal(d_half, d.to(torch::kBFloat16))) << width;
      swiglu_backward(half, dh_half, half);
      EXPECT_TRUE(torch::equal(half, d_half)) << "in place";
    }
  }
}

TEST(KernelsCudaSwiGlu, LargeGatesSaturate) {
  const Tensor h =
      swiglu(torch::tensor({-1e4f, -100.0f, 0.0f, 100.0f, 1e4f, 2.0f, 2.0f, 2.0f, 2.0f, 2.0f}).view({1, 10}));
  EXPECT_TRUE(torch::allclose(h, torch::tensor({{0.0f, 0.0f, 0.0f, 200.0f, 2e4f}}), 0, 1e-30)) << h;
}

struct Parts {
  Tensor q, k, v;
};

Parts parts(int64_t rows, int64_t heads, int64_t kv_heads, int64_t width, const torch::TensorOptions& options) {
  return {torch::full({rows, heads, width}, 5.0, options), torch::full({rows, kv_heads, width}, 5.0, options),
          torch::full({rows, kv_heads, width}, 5.0, options)};
}

void split_rope(const Tensor& qkv, const Parts& p, const std::vector<int64_t>& positions, const Floats& table,
                bool inverse) {
  EXPECT_EQ(cuda_on_host().split_rope({.dtype = dtype_of(qkv),
                                       .qkv = qkv.data_ptr(),
                                       .q = p.q.data_ptr(),
                                       .k = p.k.data_ptr(),
                                       .v = p.v.data_ptr(),
                                       .positions = positions.data(),
                                       .table = table.data(),
                                       .rows = p.q.size(0),
                                       .heads = p.q.size(1),
                                       .kv_heads = p.k.size(1),
                                       .head_dim = p.q.size(2),
                                       .inverse = inverse},
                                      nullptr),
            nullptr);
}

// Both sides do the same multiplications and additions, so their bits agree.
TEST(KernelsCudaSplitRope, HasTheBitsOfTheCpuBothWays) {
  torch::manual_seed(2);
  const int64_t context = 50, heads = 6, kv_heads = 2;
  for (const int64_t rows : {0, 1, 13}) {
    for (const int64_t width : {8, 16, 24, 40, 64, 128}) {
      const std::vector<int64_t> positions = random_ints(rows, context, 3);
      Floats table(static_cast<size_t>(context * width));
      rope_table(table.data(), context, frequencies_of(width, 10000.0));
      for (const bool inverse : {false, true}) {
        const Tensor qkv = torch::randn({rows, (heads + 2 * kv_heads) * width}), expected = qkv.clone();
        cpu().rope({.x = expected.data_ptr<float>(),
                    .positions = positions.data(),
                    .table = table.data(),
                    .rows = rows,
                    .heads = heads + kv_heads,
                    .head_dim = width,
                    .row_stride = qkv.size(1),
                    .inverse = inverse});
        const auto heads_of = [&](const Tensor& fused) {
          const auto split =
              fused.view({rows, heads + 2 * kv_heads, width}).split_with_sizes({heads, kv_heads, kv_heads}, 1);
          return Parts{split[0].contiguous(), split[1].contiguous(), split[2].contiguous()};
        };
        for (const auto dtype : {torch::kFloat32, torch::kBFloat16}) {
          // For bf16 the reference is the fp32 kernel on the rounded inputs.
          const Tensor input = qkv.to(dtype);
          Tensor reference = expected;
          if (dtype == torch::kBFloat16) {
            reference = input.to(torch::kFloat32);
            const Parts wide = inverse ? heads_of(reference) : parts(rows, heads, kv_heads, width, torch::kFloat32);
            split_rope(reference, wide, positions, table, inverse);
            if (!inverse) reference = torch::cat({wide.q, wide.k, wide.v}, 1).view_as(reference);
            reference = reference.to(dtype);
          }
          if (inverse) {
            const Tensor joined = torch::full_like(input, 5.0);
            split_rope(joined, heads_of(input), positions, table, true);
            EXPECT_TRUE(torch::equal(joined, reference)) << width;
          } else {
            const Parts p = parts(rows, heads, kv_heads, width, input.options());
            split_rope(input, p, positions, table, false);
            EXPECT_TRUE(torch::equal(torch::cat({p.q, p.k, p.v}, 1).view_as(reference), reference)) << width;
          }
        }
      }
    }
  }
}

TEST(KernelsCudaSplitRope, TurnsBackAtAnyEvenHeadWidth) {
  torch::manual_seed(3);
  for (const int64_t width : {2, 6, 10, 18, 30}) {
    Floats table(static_cast<size_t>(20 * width));
    rope_table(table.data(), 20, frequencies_of(width, 10000.0));
    const Tensor qkv = torch::randn({11, 5 * width}), back = torch::full_like(qkv, 5.0);
    const Parts p = parts(11, 3, 1, width, torch::kFloat32);
    const std::vector<int64_t> positions = random_ints(11, 20, 3);
    split_rope(qkv, p, positions, table, false);
    split_rope(back, p, positions, table, true);
    EXPECT_TRUE(torch::allclose(back, qkv, 1e-6, 1e-6)) << width;
  }
}

TEST(KernelsCudaAdamW, AgreesWithLibTorchAndRoundsTheWorkingCopy) {
  torch::manual_seed(4);
  for (const int64_t count : {1, 7, 8, 9, 2048, 5003}) {
    for (const int64_t decayed : {int64_t{0}, count / 2, count}) {
      const double lr = 1e-2, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, decay = 0.1, clip = 0.25;
      Tensor p = torch::randn({count}), m = torch::zeros({count}), v = torch::zeros({count});
      Tensor p2 = p.clone(), m2 = m.clone(), v2 = v.clone(), working = torch::zeros({count}, torch::kBFloat16);
      for (int update = 1; update <= 3; ++update) {
        const Tensor grad = torch::randn({count}), clipped = grad * clip;
        const int64_t bounds[] = {0, decayed, count};
        for (int part = 0; part < 2; ++part) {
          const int64_t begin = bounds[part], length = bounds[part + 1] - begin;
          if (length == 0) continue;
          const auto range = [&](const Tensor& t) { return std::vector<Tensor>{t.narrow(0, begin, length)}; };
          at::_fused_adamw_(range(p2), range(clipped), range(m2), range(v2), {},
                            std::vector<Tensor>{torch::tensor(static_cast<float>(update))}, lr, beta1, beta2,
                            part == 0 ? decay : 0.0, eps, false, false);
        }
        cuda_on_host().adamw({.master = p.data_ptr<float>(),
                              .grad = grad.data_ptr<float>(),
                              .m = m.data_ptr<float>(),
                              .v = v.data_ptr<float>(),
                              .working = working.data_ptr(),
                              .count = count,
                              .decayed = decayed,
                              .clip = clip,
                              .lr = lr,
                              .beta1 = beta1,
                              .beta2 = beta2,
                              .eps = eps,
                              .weight_decay = decay,
                              .correction1 = 1 - std::pow(beta1, update),
                              .correction2 = 1 - std::pow(beta2, update)},
                             nullptr);
        // The tolerance allows a few roundings per update of numbers of about 1.
        EXPECT_TRUE(torch::allclose(p, p2, 1e-6, 1e-6)) << count << ", update " << update;
        EXPECT_TRUE(torch::allclose(m, m2, 1e-6, 1e-7)) << count << ", update " << update;
        EXPECT_TRUE(torch::allclose(v, v2, 1e-6, 1e-8)) << count << ", update " << update;
        EXPECT_TRUE(torch::equal(working, p.to(torch::kBFloat16)));
      }
    }
  }
}

TEST(KernelsCuda, ARefusedLaunchNamesTheKernelAndItsSizes) {
  EXPECT_NO_THROW(cuda::require(nullptr, "rms_norm", {3, 1, 64}));
  try {
    cuda::require("no kernel image is available", "rms_norm", {3, 1, 64});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("rms_norm could not be launched for sizes [3, 1, 64]"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("no kernel image is available"), std::string::npos);
  }
}

}  // namespace
}  // namespace terse::trainer::kernels
