// Counts the buffers that the trainer and the engine allocate.
// memory_test.cpp compares the counts with real allocations.
#include "launch/plan/memory.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "rl/engine/decoder.h"
#include "trainer/gradient_plan.h"
#include "trainer/kernels/kernels.h"

namespace terse::launch::plan {

namespace {

using trainer::SequenceRange;

constexpr double kCheckpointFileBytes = 256u << 20;  // as in checkpoints/store.h

double working_bytes(const ModelSpec& spec) {
  return spec.bf16 ? 2 : 4;
}

// The length of the longest sequence, in whole pages. On a GPU the whole cache takes memory.
int64_t pages_of_longest(const ModelSpec& spec, const Generation& generation, bool cuda) {
  const bool known = !cuda && generation.tokens > 0;
  return rl::pages_for(known ? std::min(generation.tokens, spec.max_seq_len) : spec.max_seq_len);
}

}  // namespace

double total_bytes(const std::vector<Consumer>& consumers) {
  return std::accumulate(consumers.begin(), consumers.end(), 0.0,
                         [](double sum, const Consumer& consumer) { return sum + consumer.bytes; });
}

namespace {

// How trainer/model/params.h and trainer/gradient_sum.h hold these weights and gradients on these ranks.
struct Scheme {
  Scheme(const ModelSpec& spec, const PlannedSharding& sharding, bool cuda)
      : distributed(sharding.ranks > 1),
        zero(distributed ? sharding.zero : 1),
        tree(!cuda),
        ranks(static_cast<double>(sharding.shard().ranks)),
        replicas(static_cast<double>(sharding.replicas().ranks)),
        pass_element(spec.bf16 && cuda ? 2 : 4),
        weights(trained_sizes(spec)) {
    gradients.assign(weights.rbegin(), weights.rend());
    if (!cuda && spec.tie_embeddings && !spec.has_adapters()) gradients.insert(gradients.begin() + 1, weights.front());
  }

  double unit_on_its_way(double unit) const {
    const double sent = zero == 1 && pass_element == 4 ? 0 : unit;
    if (!tree) return 4 * (sent + unit / ranks);
    // First the unit is sent and its parts arrive. Later, with replicas, the owned sum and those of all replicas are
    // held.
    return 4 * std::max(sent + unit, unit / ranks * (1 + replicas));
  }

  bool distributed;
  int64_t zero;
  bool tree;  // sums are trees over sequences
  double ranks, replicas;
  double pass_element;            // bytes of an element of a pass's gradient
  std::vector<double> weights;    // sizes of the units
  std::vector<double> gradients;  // units, in the order in which a backward pass completes them
};

}  // namespace

std::vector<Consumer> state_bytes(const ModelSpec& spec, const PlannedSharding& sharding, bool cuda) {
  const Scheme scheme(spec, sharding, cuda);
  const int64_t ranks = sharding.shard().ranks;
  const double whole = shard_elements(scheme.weights, 1), part = shard_elements(scheme.weights, ranks);
  const double w = working_bytes(spec);
  const bool one_buffer = !spec.bf16 && !scheme.distributed;
  std::vector<Consumer> out;
  const auto add = [&](const char* name, double bytes) {
    if (bytes > 0) out.push_back({name, bytes});
  };
  if (spec.has_adapters()) add(kFrozen, w * shard_elements(unit_sizes(spec), 1));
  add("weights", scheme.zero == 3 ? 0 : w * whole);
  add("fp32 masters", one_buffer ? 0 : 4 * part);
  add(kMoments, 8 * part);
  add("gradients", 4 * shard_elements(scheme.gradients, ranks));
  const bool of_a_pass = scheme.distributed ? scheme.zero == 1 : scheme.pass_element < 4;
  if (of_a_pass) add("gradients of a pass", scheme.pass_element * shard_elements(scheme.gradients, 1));
  return out;
}

std::vector<Consumer> unit_bytes(const ModelSpec& spec, const PlannedSharding& sharding, bool cuda, Moment moment) {
  const Scheme scheme(spec, sharding, cuda);
  if (!scheme.distributed) return {};
  std::vector<Consumer> out;
  const bool block = moment == Moment::kBlock;
  if (scheme.zero == 3) {
    // The embedding stays gathered during the whole pass. Beside it are the last unit while the head runs, or one block
    // while the next one is gathered.
    const double beside = block ? 2 * scheme.weights[1] : scheme.weights.back();
    out.push_back({"gathered units", working_bytes(spec) * (scheme.weights.front() + beside)});
  }
  double bytes = 0;
  const std::vector<double>& units = scheme.gradients;
  const double computed = scheme.zero == 1 ? 0 : scheme.pass_element;
  for (size_t g = 0; block && g + 1 < units.size(); ++g)
    bytes = std::max(bytes, scheme.unit_on_its_way(units[g]) + computed * units[g + 1]);
  if (!block) bytes = computed * std::accumulate(units.begin(), units.end() - spec.layers - 1, 0.0);
  out.push_back({"gradients in transfer", bytes});
  return out;
}

namespace {

// Splits a node of the tree into halves until they fit `micro_batch`. Maps each size of pass to the largest number of
// finished left halves that wait during such a pass.
std::map<int64_t, int64_t> halves(int64_t node, int64_t micro_batch) {
  std::map<int64_t, int64_t> waiting = {{node, 0}};
  while (waiting.rbegin()->first > micro_batch) {
    const auto [whole, above] = *waiting.rbegin();
    waiting.erase(whole);
    for (const auto& [half, left] : {std::pair{trainer::kernels::tree_half(whole), 0}, {whole / 2, 1}})
      waiting[half] = std::max(waiting[half], above + left);
  }
  return waiting;
}

}  // namespace

std::vector<PassLoad> pass_loads(const ModelSpec& spec, const PlannedSharding& sharding, bool cuda, int64_t sequences,
                                 int64_t micro_batch) {
  const Scheme scheme(spec, sharding, cuda);
  const int64_t shards = sharding.shard().ranks;
  const double whole = 4 * shard_elements(scheme.gradients, 1), part = 4 * shard_elements(scheme.gradients, shards);
  if (!scheme.tree) {
    const int64_t own = (sequences + sharding.ranks - 1) / sharding.ranks;
    // From the second pass on, owners hold the sum of the previous passes.
    if (scheme.zero == 1 || own <= micro_batch) return {{micro_batch, 0}};
    return {{micro_batch, 0}, {std::min(micro_batch, own - micro_batch), part}};
  }
  // In each round every rank computes one node of the tree. An owner keeps its part of the nodes of all ranks that
  // share this copy of the weights, until the sibling nodes arrive.
  std::vector<std::vector<SequenceRange>> nodes;
  size_t rounds = 0;
  for (int64_t rank = 0; rank < shards; ++rank) {
    nodes.push_back(trainer::tree_nodes(
        sequences, trainer::share_of(sequences, rank, sharding.ranks),
        [&](const SequenceRange& node) { return scheme.zero == 1 || node.count() <= micro_batch; }));
    rounds = std::max(rounds, nodes.back().size());
  }
  trainer::TreeSum tree(sequences);
  std::map<int64_t, double> most;  // largest waiting bytes for each size of pass
  for (size_t round = 0; round < rounds; ++round) {
    const double waiting = static_cast<double>(tree.waiting().size()) * part;
    int64_t largest = 0;
    for (const std::vector<SequenceRange>& of_rank : nodes) {
      if (round >= of_rank.size()) continue;
      largest = std::max(largest, of_rank[round].count());
      tree.add(of_rank[round], {});
    }
    for (const auto& [pass, copies] : halves(largest, micro_batch))
      most[pass] = std::max(most[pass], waiting + static_cast<double>(copies) * whole);
  }
  std::vector<PassLoad> loads;
  for (const auto& [pass, bytes] : most) loads.push_back({pass, bytes});
  return loads;
}

double checkpoint_bytes(const ModelSpec& spec, const PlannedSharding& sharding, bool student, bool resumes) {
  const double own = shard_elements(trained_sizes(spec), sharding.shard().ranks);
  double bytes = (student ? 28 : 12) * own;
  if (resumes) return bytes - 4 * own;
  if (spec.has_adapters())
    bytes += working_bytes(spec) * shard_elements(unit_sizes(spec), 1) / static_cast<double>(sharding.ranks);
  return bytes;
}

double checkpoint_file_bytes(double bytes) {
  return std::min(bytes, kCheckpointFileBytes);
}

std::vector<Consumer> engine_bytes(const ModelSpec& spec, const Generation& generation, bool cuda) {
  const int64_t sequences = cuda ? generation.sequences : std::min(generation.sequences, generation.requests);
  const double page = static_cast<double>(rl::page_bytes(spec, cuda));
  double keys = static_cast<double>(sequences * pages_of_longest(spec, generation, cuda)) * page;
  if (generation.cache_bytes > 0)
    keys = std::min(keys, std::max(1.0, std::floor(generation.cache_bytes / page)) * page);
  std::vector<Consumer> out = {{"keys and values", keys}};
  if (!cuda) {  // the kernels' copy
    const double table = static_cast<double>(spec.vocab * spec.hidden_size);
    double packed = shard_elements(unit_sizes(spec), 1);
    if (spec.has_adapters()) packed += shard_elements(trained_sizes(spec), 1) - table;
    if (spec.tie_embeddings) packed += table;  // the head
    out.push_back({"weights to decode with", working_bytes(spec) * packed});
  }
  return out;
}

double decoding_bytes(const ModelSpec& spec, const Generation& generation, bool cuda) {
  const double live = static_cast<double>(std::min(generation.sequences, generation.requests));
  const double prompts = std::min(live, static_cast<double>(generation.prompts));
  const double prompt = static_cast<double>(generation.prompt_tokens);
  const double chunk = static_cast<double>(generation.chunk), all = prompts * prompt;
  const double rows = all <= chunk ? std::max(live, all) : chunk + live,
               w = static_cast<double>(spec.qkv_size() + 3 * spec.intermediate_size);
  const double size = cuda ? working_bytes(spec) : 4;
  double bytes = rows * size * (w + 3 * static_cast<double>(spec.hidden_size + spec.attention_size()));
  // The logits of the prompts, and of each response.
  bytes += (prompts + live) * static_cast<double>(spec.vocab) * 4;
  if (!cuda) return bytes;
  // Each row reads a copy of the keys and values of its sequence, and has a mask. A mask with grouped
  // heads leaves only the plain implementation of attention: it repeats the copy for every query head, and stores
  // scores and their softmax.
  const double c = static_cast<double>(spec.head_dim),
               capacity = static_cast<double>(pages_of_longest(spec, generation, cuda) * rl::kPageTokens);
  const double heads = static_cast<double>(spec.heads), kv_heads = static_cast<double>(spec.kv_heads);
  const double copied = size * 2 * kv_heads * c;
  double of_a_token = copied + 1 + 2 * 4 * heads;
  if (spec.heads != spec.kv_heads) of_a_token += size * 2 * heads * c;
  return bytes + rows * capacity * of_a_token;
}

}  // namespace terse::launch::plan
