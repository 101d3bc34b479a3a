// Computes the bytes that one rank needs for its part of a run, consumer by consumer. The ZeRO stage determines what a
// distributed run keeps (planned_sharding.h). With P parameters of w bytes (4, or 2 in bf16), n sharding ranks, and U
// the size of a unit:
//
//                        1 rank    ZeRO-1       ZeRO-2    ZeRO-3
//   working weights      w P       w P          w P       w (the embedding + 2 U)
//   fp32 masters         4 P       4 P/n        4 P/n     4 P/n
//   AdamW's moments      8 P       8 P/n        8 P/n     8 P/n
//   gradients            4 P       4 P/n        4 P/n     4 P/n
//   of the pass          -         4 P + 4 U    12 U      12 U
//
// With LoRA, P and U count the adapters, and each rank also has all frozen weights, w bytes each.
//
// In fp32 the masters of one rank are its working weights. On the CPU with a tied head, the gradients have one more
// unit, because the head's gradient is summed separately. On the CPU, an owner receives the contribution of
// every rank to its part of a unit separately: U in total, beside the unit that is sent and the one that is computed.
// There sums also wait from pass to pass. Elsewhere their sum arrives, U/n. In bf16 on a GPU a pass has its own
// gradient of 2 P, with one rank too, and units are sent in fp32.
#pragma once

#include <string>
#include <vector>

#include "launch/plan/activations.h"
#include "launch/plan/planned_sharding.h"

namespace terse::launch::plan {

struct Consumer {
  std::string name;  // for people
  double bytes = 0;
};

// The consumer that a second model does not need again (state_bytes()).
inline constexpr char kFrozen[] = "frozen weights";
// The consumer that exists only while a stage takes its steps.
inline constexpr char kMoments[] = "AdamW moments";

double total_bytes(const std::vector<Consumer>& consumers);

// The weights, masters, moments and gradients, which are kept permanently.
std::vector<Consumer> state_bytes(const ModelSpec& spec, const PlannedSharding& sharding, bool cuda);
// Units of gathered weights, and units of gradients that are being sent to their owners.
std::vector<Consumer> unit_bytes(const ModelSpec& spec, const PlannedSharding& sharding, bool cuda, Moment moment);
// A pass of an update: the number of its sequences, and the bytes of gradient sums that wait meanwhile.
struct PassLoad {
  int64_t sequences = 0;
  double waiting_bytes = 0;
};
// The passes of an update of `sequences`, at most `micro_batch` at a time. For each size of pass, the one with the
// largest waiting sums.
std::vector<PassLoad> pass_loads(const ModelSpec& spec, const PlannedSharding& sharding, bool cuda, int64_t sequences,
                                 int64_t micro_batch);

// The part of a rank in a checkpoint: weights and moments, and with a student also those of the student and its
// average. Frozen weights are shared out. All of it is in memory while a background thread writes it. While a run
// resumes, its stage needs all but the weights of the model (`resumes`).
double checkpoint_bytes(const ModelSpec& spec, const PlannedSharding& sharding, bool student, bool resumes = false);
// What reading or writing `bytes` of a checkpoint takes besides: one file of it.
double checkpoint_file_bytes(double bytes);

// Generation with at most `sequences` sequences together (rl/engine).
struct Generation {
  int64_t sequences = 0;
  int64_t prompt_tokens = 0;  // of each sequence
  int64_t requests = 0;       // responses on one rank at a time: of a batch of rollouts, or of an evaluation
  int64_t prompts = 0;        // prompts among them
  int64_t tokens = 0;         // of the longest sequence; 0: spec.max_seq_len
  double cache_bytes = 0;     // limit of the memory for keys and values; 0: none
  int64_t chunk = 4096;       // tokens of prompts in one pass
};
// What the engine keeps permanently: keys and values, and on the CPU in fp32 a copy of the weights in the layout for
// decoding, which shares a frozen embedding. On the CPU, the system provides memory for keys and values only once they
// are written, so they count for the sequences and tokens that there are.
std::vector<Consumer> engine_bytes(const ModelSpec& spec, const Generation& generation, bool cuda);
// The temporary memory of the largest forward pass: the prompts that are admitted together, or one token of every
// sequence.
double decoding_bytes(const ModelSpec& spec, const Generation& generation, bool cuda);

}  // namespace terse::launch::plan
