// Bytes that one rank needs for its part of a run, consumer by consumer. What a distributed run keeps follows from the
// ZeRO stage (sharding.h), with P parameters of w bytes (4, or 2 in bf16), U the largest unit, n sharding ranks:
//
//                        1 rank    ZeRO-1    ZeRO-2        ZeRO-3
//   working weights      w P       w P       w P           w P/n + 2 w U, gathered in turns
//   fp32 masters         4 P       4 P/n     4 P/n         4 P/n
//   AdamW's moments      8 P       8 P/n     8 P/n         8 P/n
//   gradients            4 P       4 P       4 P/n + 8 U   4 P/n + 8 U, two units in turns
//
// In fp32, masters and working weights are one buffer where both are whole or both are shards: with one rank, and in
// ZeRO-3. In bf16 on a GPU a backward pass of ZeRO-1, or of one rank, writes 2 P of its own before they are added up.
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

// Weights, masters, moments and gradients.
std::vector<Consumer> state_bytes(const ModelSpec& spec, const Sharding& sharding, bool cuda);

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
