// The field lists of the stages of a run, and of what they train on.
#include "configs/fields/lister.h"

namespace terse::configs {

void list(Lister& l, Data& s) {
  l.members(
      s,  //
      Item(
          "train", s.train,
          "text file, JSON Lines (*.jsonl) with a `text` in each line, or HDF5 token store built by `terse data build`",
          input_file()),
      Item("val", s.val, "the same for validation; empty: val_fraction of train", input_file()),
      Item("val_fraction", s.val_fraction,
           "share of train that is held out for validation when val is empty: the end of a text, or lines of JSON "
           "Lines, chosen by a hash of each text",
           from_up_to_below(0, 1)),
      Item("separator", s.separator,
           "text that separates the documents of a text file; empty: the file is one document"),
      Item("max_bad_lines", s.max_bad_lines,
           "largest share of lines of a JSON Lines file that may be bad: they are left out and written to "
           "data/bad_lines.jsonl of the run; with more, the run stops",
           newer(from_up_to_below(0, 1))));
}

void list(Lister& l, Task& s) {
  Rule names, shares = at_least(0);
  if (const TaskCatalog* catalog = s.options.catalog()) {
    names.choices = catalog->names;
    shares.choices = catalog->forms;
  }
  l.members(
      s,  //
      Item("name", s.name, "task that the model learns to solve", names), Declared{s.options},
      Item("forms", s.forms,
           "relative share of each trace form in supervised fine-tuning; the shares need not sum to 1; empty: the "
           "task's own mixture",
           shares),
      Item("path", s.path, "tasks that read a file: the problems to train on", input_file()),
      Item("eval_path", s.eval_path,
           "tasks that read a file: the problems to evaluate on; empty: the task holds out some of `path`",
           input_file()),
      Parts{s.mixture},
      Item("weight", s.weight, "in a mixture: share of the problems that this task gives, relative to the other tasks",
           newer(above(0))));
}

void list(Lister& l, Optimizer& s) {
  l.members(
      s,  //
      Item("lr", s.lr, "peak learning rate", between(0, 10)),
      Item("beta1", s.beta1, "AdamW: decay rate of the running mean of the gradient", from_up_to_below(0, 1)),
      Item("beta2", s.beta2, "AdamW: decay rate of the running mean of the squared gradient", from_up_to_below(0, 1)),
      Item("eps", s.eps, "AdamW: epsilon, added to the root mean square of the gradient", above_up_to(0, 1)),
      Item("weight_decay", s.weight_decay,
           "AdamW: weight decay of the matrices; norms, biases and embeddings do not decay", between(0, 10)),
      Item("clip_grad_norm", s.clip_grad_norm, "maximum global gradient norm; 0: no clipping", at_least(0)),
      Item(
          "schedule", s.schedule,
          "learning rate schedule after the warm-up; wsd: constant, then linear decay over decay_fraction of the steps",
          one_of({"constant", "linear", "cosine", "wsd"})),
      Item("warmup_steps", s.warmup_steps, "steps of the linear warm-up, in which the learning rate rises from 0",
           at_least(0)),
      Item("min_lr_ratio", s.min_lr_ratio, "final learning rate / peak learning rate, for linear, cosine and wsd",
           between(0, 1)),
      Item("decay_fraction", s.decay_fraction, "wsd: share of the steps, at the end, in which the learning rate decays",
           above_up_to(0, 1)),
      Item("max_nonfinite_steps", s.max_nonfinite_steps,
           "most updates in a row that are skipped for a non-finite loss or gradient; one more stops the run",
           at_least(0)));
}

void list(Lister& l, Pretrain& s) {
  l.members(s,  //
            Item("steps", s.steps, "number of optimizer updates", at_least(0)),
            Item("batch_size", s.batch_size, "sequences per update", between(1, 1 << 20)),
            Item("micro_batch", s.micro_batch, "most sequences per forward pass; 0: batch_size", between(0, 1 << 20)),
            Item("micro_tokens", s.micro_tokens,
                 "most tokens per forward pass, which takes at least one sequence; 0: any number", newer(at_least(0))),
            Item("seq_len", s.seq_len, "tokens per sequence; 0: model.max_seq_len", between(0, 1 << 24)),
            Item("eval_every", s.eval_every, "steps between validations; 0: only at the end", cosmetic(at_least(0))),
            Item("eval_batches", s.eval_batches, "batches per validation", at_least(1)),
            Group("optimizer", s.optimizer, "AdamW and its learning rate in pretraining"));
}

void list(Lister& l, Sft& s) {
  l.members(
      s,  //
      Item("steps", s.steps, "number of optimizer updates", at_least(0)),
      Item("train", s.train,
           "JSON Lines with conversations to learn from, each with `messages`, or with `prompt` and `completion`; "
           "empty: the demonstrations of the task",
           newer(input_file())),
      Item("val", s.val, "JSON Lines for a validation loss; empty: val_fraction of train", newer(input_file())),
      Item("val_fraction", s.val_fraction,
           "share of train that is held out for validation when val is empty, chosen by a hash of each conversation",
           newer(from_up_to_below(0, 1))),
      Item("batch_size", s.batch_size, "problems or conversations per update", between(1, 1 << 20)),
      Item("micro_batch", s.micro_batch, "most problems or conversations per forward pass; 0: batch_size",
           between(0, 1 << 20)),
      Item("micro_tokens", s.micro_tokens,
           "most tokens per forward pass, which takes at least one problem or conversation; 0: any number",
           newer(at_least(0))),
      Item("eval_every", s.eval_every, "steps between evaluations and validation losses; 0: only at the end",
           cosmetic(at_least(0))),
      Group("optimizer", s.optimizer, "AdamW and its learning rate in supervised fine-tuning"));
}

void list(Lister& l, Penalty& s) {
  l.members(s,  //
            Item("kind", s.kind,
                 "length penalty; adaptive: finds the shortest length without loss of accuracy, and needs no limit or "
                 "strength",
                 one_of({"none", "truncation", "group_relative", "adaptive"})),
            Item("limit", s.limit, "truncation: longest response that counts as finished, in tokens", at_least(0)),
            Item("strength", s.strength, "group_relative: largest share of the reward that a long response can lose",
                 between(0, 1)));
}

void list(Lister& l, Student& s) {
  l.members(
      s,  //
      Item("updates", s.updates, "supervised updates of the student per RL step; 0: no student", between(0, 10000)),
      Item("traces", s.traces, "traces per update", between(1, 1 << 20)),
      Item("lr", s.lr,
           "constant learning rate; the policy takes over an exponential moving average of the student's weights",
           above_up_to(0, 1)));
}

void list(Lister& l, Rl& s) {
  l.members(
      s,  //
      Item("steps", s.steps, "RL steps, each with one batch of rollouts", at_least(0)),
      Item("prompts", s.prompts, "prompts per batch; each prompt gives one group of rollouts", between(1, 1 << 20)),
      Item("group_size", s.group_size, "rollouts per prompt", between(2, 1 << 16)),
      Item("micro_batch", s.micro_batch, "most rollouts per forward pass; 0: all", between(0, 1 << 20)),
      Item("micro_tokens", s.micro_tokens, "most tokens per forward pass; 0: any number", newer(at_least(0))),
      Item("prompt_sharing", s.prompt_sharing,
           "most rollouts of a group that pass through the model behind one copy of their prompt; they are never "
           "split, whatever micro_batch and micro_tokens are; 1: each has its own copy",
           newer(between(1, 1 << 16))),
      Item("updates_per_batch", s.updates_per_batch, "optimizer updates per batch of rollouts", between(1, 1000)),
      Item("advantage_norm", s.advantage_norm,
           "standard deviation of the rewards by which advantages are divided: over the batch, over the group, or none "
           "(no division)",
           one_of({"batch", "group", "none"})),
      Item("loss", s.loss, "policy loss", one_of({"grpo", "dapo", "dr_grpo", "gspo", "cispo", "reinforce"})),
      Item("clip_low", s.clip_low, "the ratio is clipped from below at 1 - clip_low (about 3e-4 for gspo)",
           between(0, 1)),
      Item("clip_high", s.clip_high, "the ratio is clipped from above at 1 + clip_high (about 4e-4 for gspo)",
           between(0, 100)),
      Item(
          "max_staleness", s.max_staleness,
          "split layout: largest number of updates between the weights that sampled a token and those that train on "
          "it; 0: rollouts wait for the newest weights, and the results are bit-identical to those of any other layout",
          between(0, 1000)),
      Item("importance_cap", s.importance_cap,
           "largest importance weight of a token that older weights sampled (truncated importance sampling)",
           above_up_to(0, 1e6)),
      Item("group_deadline", s.group_deadline,
           "split layout: seconds after which a group is given to another rollout rank, too; 0: 5 times the median of "
           "the latest groups",
           cosmetic(between(0, 1e6))),
      Item("entropy_bonus", s.entropy_bonus,
           "weight of the entropy term; the entropy controller raises it when entropy collapses", between(0, 10)),
      Item("resample_uniform", s.resample_uniform,
           "replace groups without a learning signal (equal rewards, or no correct rollout) by groups of new prompts"),
      Item("max_resample_rounds", s.max_resample_rounds,
           "maximum number of times that a batch is filled up with groups of new prompts", between(0, 1000)),
      Item("demonstrations", s.demonstrations,
           "adaptive penalty: supervised traces of the mastered form mixed into each update; 0: none",
           between(0, 1 << 20)),
      Item("demonstration_weight", s.demonstration_weight,
           "weight of the demonstration loss relative to the policy loss", between(0, 1000)),
      Group("penalty", s.penalty, "Length penalty"),
      Group("student", s.student,
            "Supervised training of the student, a copy of the policy, on a shorter form (adaptive penalty only)"),
      Item("eval_every", s.eval_every, "steps between evaluations; 0: only at the end", cosmetic(at_least(0))),
      Item("trace_every", s.trace_every, "steps between samples of rollouts that are written to traces/; 0: none",
           cosmetic(at_least(0))),
      Group("optimizer", s.optimizer, "AdamW and its learning rate in reinforcement learning"));
}

void list(Lister& l, Eval& s) {
  l.members(s,  //
            Item("problems_per_difficulty", s.problems_per_difficulty,
                 "problems of each difficulty in the evaluation that ends a stage", between(1, 1 << 20)),
            Item("samples", s.samples,
                 "samples per problem in the evaluation that ends a stage; evaluations during training use 1",
                 between(1, 1 << 16)),
            Item("quick_problems_per_difficulty", s.quick_problems_per_difficulty,
                 "problems of each difficulty in evaluations during training", between(1, 1 << 20)),
            Item("temperature", s.temperature, "sampling temperature; 0: greedy decoding (always the likeliest token)",
                 between(0, 100)));
}

void list(Lister& l, Engine& s) {
  l.members(
      s,  //
      Item("max_batch", s.max_batch, "maximum number of sequences that are decoded together", between(1, 1 << 20)),
      Item("kv_cache_gib", s.kv_cache_gib,
           "GiB for the keys and values of sequences in progress; sequences that find no room wait; 0: enough for "
           "max_batch of the longest sequences, and on a CPU at most a quarter of the memory",
           newer(between(0, 1 << 20))),
      Item("chunked_prefill_size", s.chunked_prefill_size,
           "most tokens of prompts in one forward pass; longer prompts take several, in which other sequences go on",
           newer(between(1, 1 << 20))),
      Item(
          "speculative_tokens", s.speculative_tokens,
          "on a CPU, where few sequences run: most tokens per step that are guessed from repetitions in the text "
          "and in the group's other responses, and then checked; the tokens are exactly those without guesses; 0: none",
          newer(between(0, 7))),
      Item("max_new_tokens", s.max_new_tokens, "longest response, in tokens; 0: the task's own limit",
           between(0, 1 << 24)),
      Item("temperature", s.temperature, "sampling temperature of rollouts", above_up_to(0, 100)),
      Item("top_k", s.top_k, "sample among the k likeliest tokens; 0: all", at_least(0)),
      Item("top_p", s.top_p, "sample among the likeliest tokens whose probabilities sum to this value; 1: all",
           above_up_to(0, 1)),
      Item("min_p", s.min_p,
           "leave out tokens whose probability is below this share of the largest probability; 0: none",
           from_up_to_below(0, 1)));
}

}  // namespace terse::configs
