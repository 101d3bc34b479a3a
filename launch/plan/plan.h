// Plans memory, time and communication of every training stage of a run on given machines, without device, data or
// tensors.
#pragma once

#include <string>
#include <vector>

#include "configs/hardware.h"
#include "configs/run_config.h"
#include "launch/plan/memory.h"
#include "launch/plan/step_time.h"
#include "rl/async/split_world.h"
#include "rl/tasks/tokenized_task.h"

namespace terse::launch::plan {

// The properties of a run that a plan depends on.
struct Run {
  configs::RunConfig config;
  int64_t vocab = 0;
  int64_t prompt_tokens = 0, response_tokens = 0;  // of a problem of the task, at most; 0: the run has no task
  int64_t trace_tokens = 0;                        // of a demonstration; 0: as many as a response
  int64_t difficulties = 1;                        // of the task
  configs::Hardware machine;
  int64_t ranks = 1;
  int64_t ranks_per_node = 1;

  bool splits() const { return rl::splits(config); }
  bool cuda() const { return machine.device == "cuda"; }
  // ZeRO-3 implies activation checkpointing: blocks run again in the backward pass, so their gathered weights need not
  // be kept until then (Transformer).
  ModelSpec spec() const {
    ModelSpec spec = trainer::resolve(config.model, vocab, config.lora);
    spec.activation_checkpointing |= config.parallel.zero == 3 && ranks > 1;
    return spec;
  }
  bool has_task() const { return prompt_tokens > 0; }
  int64_t learners() const { return ranks - (splits() ? rl::rollout_ranks(config.parallel, ranks) : 0); }
  double limit_bytes() const { return machine.memory_gib * 0x1p30; }
};

// Sets the sizes that a task decides: the vocabulary and the longest texts.
void describe_task(Run& run, const rl::TokenizedTask& task);

// The plan of one stage, for one rank. Sequences are split evenly over the ranks that learn, rounded up.
struct StagePlan {
  std::string stage;
  std::vector<Consumer> memory;          // of the process at the worst moment, on a rank that learns
  std::vector<Consumer> sampler_memory;  // on a rank that only generates; empty without such ranks
  double limit_bytes = 0;

  StepTime update;        // one optimizer step; with a student, the mean over the updates of both models
  int64_t updates = 1;    // in one step of the stage
  double generation = 0;  // seconds a step: prompts and rollouts, RL only
  double overlap = 0;     // seconds of generation while other ranks learn
  double tokens = 0;      // trained (RL: generated) in one step, by all ranks together

  int64_t learners = 1;             // ranks that learn
  int64_t sequences = 0;            // in one update, over all ranks
  int64_t micro_batch = 0;          // sequences in one pass of one rank
  int64_t micro_batches = 1;        // passes in one update
  int64_t largest_micro_batch = 0;  // largest that fits; 0: not even one sequence fits
  int64_t largest_max_batch = 0;    // largest engine.max_batch that fits, RL only

  double bytes() const { return total_bytes(memory); }
  bool fits() const { return bytes() <= limit_bytes && total_bytes(sampler_memory) <= limit_bytes; }
  double learning() const { return static_cast<double>(updates) * update.total(); }
  double seconds() const { return generation - overlap + learning(); }
  double waiting() const { return static_cast<double>(updates) * update.exposed; }
  double communication_share() const { return waiting() / seconds(); }
  Volume volume() const;  // bytes that each rank sends in one step
};

// Plans pretrain, sft and rl, in the order of config.stages. Throws std::invalid_argument when the model is impossible.
std::vector<StagePlan> make_plan(const Run& run);
StagePlan plan_stage(const Run& run, const std::string& stage);

}  // namespace terse::launch::plan
