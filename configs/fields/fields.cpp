// Defines the field lists of a whole run; the files beside this one have those of the model and of the stages. A new
// option is one member in run_config.h and one line here. Tasks declare theirs in rl/tasks/.
//
// A help text is one line without a full stop. It appears in the JSON schema and in docs/config.md (regenerate it with
// scripts/update_config_docs.sh).
#include "configs/fields/lister.h"

namespace terse::configs {

void list(Lister& l, Run& s) {
  l.members(s,  //
            Item("name", s.name, "name of the run and of its folder: letters, digits, '.', '_' and '-'", cosmetic()),
            Item("dir", s.dir, "run folder; empty: runs/<name>", cosmetic()),
            Item("seed", s.seed, "seed of all random numbers of the run", at_least(0)),
            Item("device", s.device, "device of the tensors; auto: cuda if a GPU is available, else cpu",
                 cosmetic(one_of({"auto", "cpu", "cuda"}))),
            Item("threads", s.threads,
                 "CPU threads; 0: the cores that this process may use, within its CPU quota, divided by the ranks of "
                 "the machine",
                 cosmetic(between(0, 1024))),
            Item("log_every", s.log_every, "steps between metric records", cosmetic(at_least(1))));
}

void list(Lister& l, Parallel& s) {
  l.members(
      s,  //
      Item("layout", s.layout,
           "colocated: every rank generates, then learns; split: some ranks only generate, the others only learn",
           cosmetic(one_of({"colocated", "split"}))),
      Item("rollout_ranks", s.rollout_ranks,
           "split: number of ranks that only generate (the last ones); 0: half of all ranks",
           cosmetic(between(0, 1 << 20))),
      Item("weight_transfer", s.weight_transfer,
           "split: dtype of the weights that are sent to the rollout ranks; auto: bf16 if the model computes in bf16 "
           "on a GPU, else fp32",
           one_of({"auto", "fp32", "bf16"})),
      Item("zero", s.zero, "ZeRO stage: 1 shards the optimizer state, 2 also the gradients, 3 also the weights",
           cosmetic(between(1, 3))),
      Item("hierarchical", s.hierarchical, "shard inside a node and replicate across nodes", cosmetic()),
      Item("ranks_per_node", s.ranks_per_node,
           "consecutive ranks that count as one node; 0: those that share a machine", cosmetic(between(0, 1 << 20))),
      Item("backend", s.backend,
           "communication backend for tensors; auto: nccl if each rank has its own GPU, else staged on GPUs and mpi on "
           "CPUs",
           cosmetic(one_of({"auto", "mpi", "nccl", "staged"}))),
      Item("deadline", s.deadline,
           "timeout in seconds: the job is stopped if one rank keeps the others waiting for longer",
           cosmetic(above_up_to(0, 1e6))));
}

void list(Lister& l, Checkpoint& s) {
  l.members(
      s,  //
      Item("every", s.every, "steps between checkpoints; 0: only at the end of a stage", cosmetic(at_least(0))),
      Item("keep", s.keep, "number of newest sound checkpoints to keep, besides the best one of the current stage",
           cosmetic(between(2, 1'000'000))),
      Item("async", s.async, "write checkpoints in the background", cosmetic()));
}

void list(Lister& l, RunConfig& s) {
  l.members(
      s,  //
      Item("stages", s.stages, "stages of the run, in this order", one_of({"pretrain", "sft", "rl", "eval"})),
      Group("run", s.run, "The run as a whole"),  //
      Group("model", s.model, "The transformer"),
      Group("lora", s.lora, "Low-rank adapters, trained instead of the weights"),
      Group("tokenizer", s.tokenizer, "Conversion of text to token ids"),
      Group("chat", s.chat, "Conversion of conversations to text"), Group("data", s.data, "Texts for pretraining"),
      Group("task", s.task, "Problems with checkable answers, for fine-tuning, reinforcement learning and evaluation"),
      Group("pretrain", s.pretrain, "Next-token prediction on texts"),
      Group("sft", s.sft, "Supervised fine-tuning on conversations, or on demonstrations of the task"),
      Group("rl", s.rl, "Reinforcement learning with thought compression"),
      Group("eval", s.eval, "Evaluation on the task, after each stage that trains on it"),
      Group("engine", s.engine, "Generation of rollouts"),
      Group("parallel", s.parallel, "Distribution of a run over ranks"),
      Group("checkpoint", s.checkpoint, "Saving and resuming"));
}

FieldTable list_fields(RunConfig& config) {
  FieldTable table;
  Lister lister(table, "");
  list(lister, config);
  return table;
}

}  // namespace terse::configs
