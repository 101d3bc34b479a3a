// One tensor for each matrix that the model multiplies with, and views of its parts by name.
#include "trainer/model/frozen_weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "base/checksum.h"
#include "base/errors.h"

namespace terse::trainer {

namespace {

constexpr int64_t kPiece = 1 << 22;  // elements that are read at a time

}  // namespace

FrozenWeights::FrozenWeights(const ModelSpec& spec, torch::Device device)
    : spec_(spec), device_(device), layout_(spec) {
  const int64_t d = spec.hidden_size;
  embedding_ = allocate({spec.vocab, d}, {{"model.embed_tokens.weight", spec.vocab}}, "");
  head_ = spec.tie_embeddings ? embedding_ : allocate({spec.vocab, d}, {{"lm_head.weight", spec.vocab}}, "");
  final_norm_ = allocate({d}, {{"model.norm.weight", d}}, "");
  for (int64_t layer = 0; layer < spec.layers; ++layer) {
    BlockWeights block;
    for (const BlockWeight& weight : block_weights(spec))
      block.*weight.member = allocate(weight.shape(), weight.parts, fmt::format("model.layers.{}.", layer));
    blocks_.push_back(std::move(block));
  }
}

torch::Tensor FrozenWeights::allocate(const std::vector<int64_t>& shape, const std::vector<BlockWeight::Part>& parts,
                                      const std::string& prefix) {
  const bool vector = shape.size() == 1 && device_.is_cpu();
  const auto dtype = spec_.bf16 && !vector ? torch::kBFloat16 : torch::kFloat32;
  torch::Tensor weight = torch::zeros(shape, torch::TensorOptions(dtype).device(device_));
  int64_t row = 0;
  for (const BlockWeight::Part& part : parts) {
    by_name_[prefix + part.name] = weight.narrow(0, row, part.rows);
    row += part.rows;
  }
  return weight;
}

void FrozenWeights::fill(const ReadParameter& read) {
  torch::NoGradGuard no_grad;
  for (const ParamInfo& info : layout_.infos) {
    torch::Tensor flat = by_name_.at(info.name).view({-1});
    for (int64_t begin = 0; begin < info.numel(); begin += kPiece) {
      const int64_t end = std::min(begin + kPiece, info.numel());
      const torch::Tensor piece = torch::empty({end - begin}, torch::kFloat32);
      read(info, begin, end, piece.data_ptr<float>());
      flat.narrow(0, begin, end - begin).copy_(piece);
    }
  }
  ++version_;
}

void FrozenWeights::initialise(uint64_t seed) {
  fill([&](const ParamInfo& info, int64_t begin, int64_t end, float* out) {
    const auto param = static_cast<uint64_t>(&info - layout_.infos.data());
    for (int64_t i = begin; i < end; ++i) out[i - begin] = initial_value(info, seed, param, i);
  });
}

void FrozenWeights::save(checkpoints::StateDict& state, const Sharding& sharding) const {
  for (const ParamInfo& info : layout_.infos) {
    const auto bound = [&](int64_t rank) { return info.numel() * rank / sharding.ranks(); };
    const int64_t begin = bound(sharding.rank()), end = bound(sharding.rank() + 1);
    if (begin == end) continue;
    const torch::Tensor part = by_name_.at(info.name).view({-1}).narrow(0, begin, end - begin);
    state.tensors.emplace(info.name, checkpoints::Shard{part, info.shape, begin, end});
  }
}

void FrozenWeights::restore(const checkpoints::StateDict& state) {
  torch::NoGradGuard no_grad;
  require_tensors(state, "", layout_);
  for (const ParamInfo& info : layout_.infos)
    by_name_.at(info.name).view({-1}).copy_(state.range(info.name, 0, info.numel()));
  ++version_;
}

void FrozenWeights::broadcast(Collectives& group, int64_t root) {
  torch::NoGradGuard no_grad;
  uint64_t hash = 0;
  for (const ParamInfo& info : layout_.infos) {
    torch::Tensor weight = by_name_.at(info.name).view({-1});
    group.broadcast("frozen " + info.name, weight, root).wait();
    const torch::Tensor host = weight.cpu();
    hash = xxh3(host.data_ptr(), host.nbytes(), hash);
  }
  const std::vector<std::string> hashes =
      all_gather_bytes(group, "hash of the frozen weights", fmt::format("{:016x}", hash));
  for (size_t rank = 0; rank < hashes.size(); ++rank) {
    if (hashes[rank] == hashes[static_cast<size_t>(root)]) continue;
    throw LostError(fmt::format("the frozen weights arrived damaged at rank {}: their hash is {}, but rank {} sent {}",
                                rank, hashes[rank], root, hashes[static_cast<size_t>(root)]));
  }
  ++version_;
}

}  // namespace terse::trainer
