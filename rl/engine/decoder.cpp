// Holds what the two decoders share: the check of positions, the choice between them, and the size of a page.
#include "rl/engine/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "trainer/model/profile_scope.h"

namespace terse::rl {

torch::Tensor Decoder::forward(const DecodeRows& rows) {
  if (!rows.positions.empty()) {
    const auto [first, last] = std::minmax_element(rows.positions.begin(), rows.positions.end());
    model_.require_angles(*first, *last);
  }
  for (size_t i = 0; i < rows.pages.size(); ++i) {
    if (rows.positions[i] >= std::ssize(*rows.pages[i]) * kPageTokens) {
      throw std::invalid_argument(fmt::format("position {} of a sequence does not fit into its {} pages of {} tokens",
                                              rows.positions[i], rows.pages[i]->size(), kPageTokens));
    }
  }
  // Prompts are rows of which only the last one gives logits.
  const trainer::ProfileScope scope(rows.tokens.size() > rows.wanted.size() ? "prefill" : "decode");
  return run(rows);
}

std::unique_ptr<Decoder> make_decoder(trainer::Transformer& model, int64_t pages) {
  return model.device().is_cpu() ? make_kernel_decoder(model, pages) : make_aten_decoder(model, pages);
}

bool holds_bf16(const trainer::ModelSpec& spec, bool cuda) {
  return spec.bf16_kv || (cuda && spec.bf16);
}

int64_t page_bytes(const trainer::ModelSpec& spec, bool cuda) {
  return kPageTokens * spec.layers * 2 * spec.kv_heads * spec.head_dim * (holds_bf16(spec, cuda) ? 2 : 4);
}

}  // namespace terse::rl
