// Draws four numbers at a time, on the CPU's threads.
#include "trainer/model/dropout.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "base/philox.h"

namespace terse::trainer {

torch::Tensor dropout_mask(const data::Batch& batch, int64_t width, double rate, const DropoutKey& key,
                           const DropoutPlace& place) {
  const torch::Tensor starts = batch.sequences.to(torch::kCPU).contiguous();
  const int32_t* start = starts.data_ptr<int32_t>();
  const int32_t* end = start + starts.size(0);
  torch::Tensor mask = torch::empty({batch.token_count(), width}, torch::kFloat32);
  float* values = mask.data_ptr<float>();
  const auto threshold = static_cast<float>(rate), kept = static_cast<float>(1 / (1 - rate));
  const uint64_t a = key.update << 32 | static_cast<uint64_t>(place.layer << 8 | place.projection);
  at::parallel_for(0, batch.token_count(), 1, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const int64_t sequence = std::upper_bound(start, end, row) - start - 1;
      const uint64_t b = static_cast<uint64_t>(batch.first_sequence + sequence) << 44 |
                         static_cast<uint64_t>(row - start[sequence]) << 20;
      float* out = values + row * width;
      for (int64_t i = 0; i < width; i += 4) {
        const auto words = philox(key.seed, RandomStream::kAdapterDropout, a, b | static_cast<uint64_t>(i / 4));
        for (int64_t j = i; j < std::min(i + 4, width); ++j)
          out[j] = uniform01(words[static_cast<size_t>(j - i)]) < threshold ? 0.0f : kept;
      }
    }
  });
  return mask.to(batch.tokens.device());
}

}  // namespace terse::trainer
