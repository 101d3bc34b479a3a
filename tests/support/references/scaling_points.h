// Published measurements of scaling, with the set-up that each source gives. tests/bench/scaling_fit.cpp fits the
// constants of configs/hardware/*.yaml to some of them (kFit). tests/launch/plan/scaling_test.cpp checks the
// predictions for the others (kHeldOut).
//
// Roles were assigned by order, odd points to the fit and even points to the held-out ones, before any error was known.
// Where a table has several counts of GPUs, the two are the smallest and the largest that used the same micro-batch.
// Two points with other micro-batches were added to the held-out ones.
#pragma once

#include <cstdint>
#include <vector>

namespace terse::support {

enum class Role { kFit, kHeldOut };

// The same trainer on `from` and on `to` GPUs. Efficiency is the throughput per GPU on `to` GPUs over that on `from`.
struct ScalingPoint {
  const char* name;
  const char* machine;  // a file of configs/hardware
  Role role;
  int64_t from, to;               // GPUs, 8 to a node
  double from_rate, to_rate;      // published tokens/s per GPU
  int64_t vocab, width, layers;   // the model: embedding, blocks, head
  double block;                   // parameters of a block
  bool tied;                      // embedding and head share a matrix
  double from_tokens, to_tokens;  // of one micro-batch of one GPU
  int64_t micro_batches;          // per update
  double gather_bytes;            // per gathered element: 2 in bf16, 1 in fp8
  double reduce_bytes;            // per reduced element
  bool recompute;                 // full activation checkpointing
  bool hierarchical;
};

// Llama 3.1 8B, 2 sequences of 8,192 a GPU, selective checkpointing, fp32 reductions. fp8: blocks are gathered in fp8.
// Sources: torchtitan, benchmarks/llama3_h100_202412_torchtitan.md and llama3-8b_h200_202506_trainy-whitefiber.md.
//
// MPT, sequences of 2,048, FULL_SHARD (ZeRO-3), tied embeddings; H100: amp_bf16 with fp32 reductions, A100 (40 GB,
// 1,600 Gb/s a node): pure bf16. Source: llm-foundry, scripts/train/benchmarking/README.md. Blocks have 12 D^2 weights.
inline const std::vector<ScalingPoint>& scaling_points() {
  constexpr auto kFit = Role::kFit, kHeld = Role::kHeldOut;
  constexpr double kLlama8 = 218.1e6;
  const auto mpt = [](double width) { return 12 * width * width; };
  static const std::vector<ScalingPoint> points = {
      {"torchtitan 8B, eager", "h100", kFit, 8, 128, 5762, 5605, 128256, 4096, 32, kLlama8, false, 16384, 16384, 1, 2,
       4, false, false},
      {"torchtitan 8B, compiled", "h100", kHeld, 8, 128, 6667, 6514, 128256, 4096, 32, kLlama8, false, 16384, 16384, 1,
       2, 4, false, false},
      {"torchtitan 8B, fp8", "h100", kFit, 8, 128, 8532, 8380, 128256, 4096, 32, kLlama8, false, 16384, 16384, 1, 1, 4,
       false, false},
      {"torchtitan 8B, fp8", "h200", kHeld, 32, 64, 10938, 10753, 128256, 4096, 32, kLlama8, false, 16384, 16384, 1, 1,
       4, false, false},
      {"MPT 1.3B", "h100", kFit, 16, 64, 46037, 44402, 50368, 2048, 24, mpt(2048), true, 40960, 40960, 1, 2, 4, false,
       false},
      {"MPT 13B", "h100", kHeld, 8, 64, 4792, 4800, 50368, 5120, 40, mpt(5120), true, 4096, 4096, 1, 2, 4, false,
       false},
      {"MPT 2.7B", "h100", kFit, 32, 64, 23021, 22525, 50368, 2560, 32, mpt(2560), true, 12288, 12288, 3, 2, 4, false,
       false},
      {"MPT 760M", "h100", kHeld, 16, 32, 68551, 67971, 50368, 1536, 24, mpt(1536), true, 49152, 49152, 1, 2, 4, false,
       false},
      // The next two are often cited. But their micro-batch changes, too, and the compute speed changes with it.
      {"MPT 1.3B, micro-batch 14 to 20", "h100", kHeld, 8, 64, 45455, 44402, 50368, 2048, 24, mpt(2048), true, 28672,
       40960, 1, 2, 4, false, false},
      {"MPT 2.7B, micro-batch 10 to 6", "h100", kHeld, 16, 64, 24142, 22525, 50368, 2560, 32, mpt(2560), true, 20480,
       12288, 3, 2, 4, false, false},
      {"MPT 125M", "a100", kFit, 16, 128, 130535, 123936, 50368, 768, 12, mpt(768), true, 53248, 53248, 1, 2, 2, false,
       false},
      {"MPT 350M", "a100", kHeld, 16, 128, 55413, 51934, 50368, 1024, 24, mpt(1024), true, 36864, 36864, 1, 2, 2, false,
       false},
      {"MPT 760M", "a100", kFit, 16, 128, 29607, 28940, 50368, 1536, 24, mpt(1536), true, 24576, 24576, 1, 2, 2, false,
       false},
      {"MPT 1.3B", "a100", kHeld, 64, 128, 19001, 18647, 50368, 2048, 24, mpt(2048), true, 20480, 20480, 1, 2, 2, false,
       false},
      {"MPT 2.7B", "a100", kFit, 32, 128, 9914, 9538, 50368, 2560, 32, mpt(2560), true, 12288, 12288, 1, 2, 2, false,
       false},
      {"MPT 6.7B", "a100", kHeld, 32, 128, 3725, 3623, 50368, 4096, 32, mpt(4096), true, 36864, 36864, 1, 2, 2, true,
       false},
      {"MPT 13B", "a100", kFit, 64, 128, 1976, 1972, 50368, 5120, 40, mpt(5120), true, 32768, 32768, 1, 2, 2, true,
       false},
  };
  return points;
}

}  // namespace terse::support
