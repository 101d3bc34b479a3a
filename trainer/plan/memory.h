// Bytes that one rank needs for its part of a run, consumer by consumer. What a distributed run keeps follows from the
// ZeRO stage (sharding.h), with P parameters of w bytes (4, or 2 in bf16), n sharding ranks, and U a unit:
//
//                        1 rank    ZeRO-1       ZeRO-2    ZeRO-3
//   working weights      w P       w P          w P       w (the embedding + 2 U)
//   fp32 masters         4 P       4 P/n        4 P/n     4 P/n
//   AdamW's moments      8 P       8 P/n        8 P/n     8 P/n
//   gradients            4 P       4 P/n        4 P/n     4 P/n
//   of the pass          -         4 P + 4 U    12 U      12 U
//
// In fp32 the masters of one rank are its working weights. On the CPU gradients have one unit more where the head is
// tied, as it is summed apart. In fp32 there every rank's part of a unit arrives by itself: U, beside the unit that is
// sent and the one that is computed, and sums wait from pass to pass. Elsewhere their sum arrives, U/n. In bf16 on a
// GPU a pass writes 2 P of its own, with one rank too, and sends units in fp32.
#pragma once

#include <string>
#include <vector>

#include "trainer/plan/activations.h"
#include "trainer/plan/sharding.h"

namespace terse::trainer::plan {

struct Consumer {
  std::string name;  // for people
  double bytes = 0;
};

double total_bytes(const std::vector<Consumer>& consumers);

// Weights, masters, moments and gradients: what is kept all the time.
std::vector<Consumer> state_bytes(const ModelSpec& spec, const Sharding& sharding, bool cuda);
// Units that are gathered and units of gradients on their way to their owners.
std::vector<Consumer> unit_bytes(const ModelSpec& spec, const Sharding& sharding, bool cuda, Moment moment);
// A pass of an update: how many sequences it computes, and sums of gradients that wait meanwhile.
struct PassLoad {
  int64_t sequences = 0;
  double waiting_bytes = 0;
};
// The passes of an update of `sequences`, at most `micro_batch` at a time: one of each size, when most waits.
std::vector<PassLoad> pass_loads(const ModelSpec& spec, const Sharding& sharding, bool cuda, int64_t sequences,
                                 int64_t micro_batch);

// Generation with `slots` sequences of up to spec.context tokens (rl/engine).
struct Generation {
  int64_t slots = 0;
  int64_t prompt_tokens = 0;  // of each sequence
  int64_t requests = 0;       // of one batch of rollouts and one rank
};
// Kept as long as the engine lives: keys and values, and on the CPU in fp32 a copy of the weights laid out for
// decoding.
std::vector<Consumer> engine_bytes(const ModelSpec& spec, const Generation& generation, bool cuda);
// The largest step of it: the prompts of one admission, or one token of every sequence.
double decoding_bytes(const ModelSpec& spec, const Generation& generation, bool cuda);

}  // namespace terse::trainer::plan
