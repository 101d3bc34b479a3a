// Defines the field lists. A new option is one member in run_config.h and one line here. Tasks declare theirs in
// rl/tasks/.
//
// A help text is one line without a full stop. It appears in the JSON schema and in docs/config.md (regenerate it with
// scripts/update_config_docs.sh).
#include "configs/fields.h"

#include <algorithm>
#include <utility>

#include "configs/task_catalog.h"
#include "configs/yaml/arity.h"

namespace terse::configs {
namespace {

struct Item {
  Item(std::string_view name_, bool& v, std::string_view help_, Rule rule_ = {})
      : Item(name_, help_, std::move(rule_), &v) {}
  Item(std::string_view name_, std::string& v, std::string_view help_, Rule rule_ = {})
      : Item(name_, help_, std::move(rule_), &v) {}
  // These types have no default rule: a number must state its range, and a list or a map its rule.
  Item(std::string_view name_, int64_t& v, std::string_view help_, Rule rule_)
      : Item(name_, help_, std::move(rule_), &v) {}
  Item(std::string_view name_, double& v, std::string_view help_, Rule rule_)
      : Item(name_, help_, std::move(rule_), &v) {}
  Item(std::string_view name_, std::vector<std::string>& v, std::string_view help_, Rule rule_)
      : Item(name_, help_, std::move(rule_), &v) {}
  Item(std::string_view name_, std::map<std::string, double>& v, std::string_view help_, Rule rule_)
      : Item(name_, help_, std::move(rule_), &v) {}

  std::string_view name;
  std::string_view help;
  Rule rule;
  ValuePtr value;

 private:
  Item(std::string_view name_, std::string_view help_, Rule rule_, ValuePtr v)
      : name(name_), help(help_), rule(std::move(rule_)), value(v) {}
};

template <class S>
struct Group {
  Group(std::string_view name_, S& members_, std::string_view help_) : name(name_), members(members_), help(help_) {}
  std::string_view name;
  S& members;
  std::string_view help;
};

// The options that the tasks declare.
struct Declared {
  TaskOptions& options;
};

// The tasks of a mixture, each with a name.
struct Parts {
  std::map<std::string, Task>& tasks;
};

class Lister {
 public:
  Lister(FieldTable& table, std::string section) : table_(table), section_(std::move(section)) {}

  template <class S, class... Items>
  void members(const S&, const Items&... items) {
    static_assert(sizeof...(Items) == arity<S>(),
                  "the field list and the members of the struct in run_config.h differ");
    (add(items), ...);
  }

 private:
  void add(const Item& item) {
    table_.fields.push_back({join(section_, item.name), item.value, std::string(item.help), item.rule});
  }
  void add(const Declared& declared) {
    const TaskCatalog* catalog = declared.options.catalog();
    if (catalog == nullptr) return;
    std::vector<OptionValue>& values = declared.options.values();
    for (size_t i = 0; i < values.size(); ++i) {
      const TaskOption& option = catalog->options[i];
      const ValuePtr value = std::visit([](auto& v) { return ValuePtr(&v); }, values[i]);
      table_.fields.push_back({join(section_, option.name), value, option.help, option.rule});
    }
  }
  template <class S>
  void add(const Group<S>& group) {
    Lister inner(table_, join(section_, group.name));
    table_.sections.push_back({inner.section_, std::string(group.help)});
    list(inner, group.members);
  }

  void add(const Parts& parts) {
    if (section_ != parent_of(kMixtureSection)) return;  // a mixture holds no mixture
    table_.sections.push_back({std::string(kMixtureSection),
                               "The tasks of a mixture, by names of your own. Each one has the options of `task`: "
                               "`gsm: {name: gsm8k, path: train.jsonl, weight: 3}`"});
    for (auto& [name, task] : parts.tasks)
      add(Group(join(last_of(kMixtureSection), name), task, "A task of the mixture"));
  }

  FieldTable& table_;
  std::string section_;
};

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

void list(Lister& l, RopeScaling& s) {
  l.members(
      s,  //
      Item("type", s.type, "none, or llama3: Llama 3 divides low frequencies by `factor`", one_of({"none", "llama3"})),
      Item("factor", s.factor, "llama3: what divides the low frequencies", above_up_to(0, 1e6)),
      Item("low_freq_factor", s.low_freq_factor,
           "llama3: frequencies with fewer turns than this over original_max_seq_len are divided", above_up_to(0, 1e6)),
      Item("high_freq_factor", s.high_freq_factor,
           "llama3: frequencies with more turns than this over original_max_seq_len are kept; above low_freq_factor",
           above_up_to(0, 1e6)),
      Item("original_max_seq_len", s.original_max_seq_len,
           "llama3: longest sequence of the model's pretraining, in tokens", between(1, 1 << 24)));
}

void list(Lister& l, Model& s) {
  l.members(
      s,  //
      Item(
          "depth", s.depth,
          "size of the model in one number: layers = depth, hidden_size = 64 x depth and one head per 64 of it, unless "
          "the same file or a nearer source sets them; 0: off. The derived sizes may not change between two starts",
          cosmetic(between(0, 256))),
      Item("layers", s.layers, "number of transformer blocks", between(1, 1000)),
      Item("hidden_size", s.hidden_size, "size of the hidden states", between(1, 1 << 17)),
      Item("heads", s.heads, "number of query heads", between(1, 4096)),
      Item("kv_heads", s.kv_heads, "number of key/value heads, a divisor of heads; 0: as many as heads",
           between(0, 4096)),
      Item("head_dim", s.head_dim, "size of one head, even; 0: hidden_size / heads", between(0, 4096)),
      Item("intermediate_size", s.intermediate_size,
           "inner size of the feed-forward part (SwiGLU); 0: 8/3 of hidden_size, rounded up to a multiple of 64",
           between(0, 1 << 20)),
      Item("vocab_size", s.vocab_size,
           "ids that the model knows, at least those of the tokenizer; 0: as many as the tokenizer has",
           newer(between(0, 1 << 24))),
      Item("max_seq_len", s.max_seq_len, "longest sequence, in tokens", between(1, 1 << 24)),
      Item("rope_theta", s.rope_theta, "base of the RoPE frequencies", above(0)),
      Group("rope_scaling", s.rope_scaling, "RoPE for sequences longer than those of a model's pretraining"),
      Item("norm_eps", s.norm_eps, "epsilon of RMSNorm, added to the mean square", above_up_to(0, 1)),
      Item("qk_norm", s.qk_norm, "RMSNorm on each query and key head before RoPE (Qwen3)"),
      Item("qkv_bias", s.qkv_bias, "biases on the query, key and value projections (Qwen2)"),
      Item("tie_embeddings", s.tie_embeddings, "the output head shares the embedding matrix"),
      Item("init_std", s.init_std,
           "standard deviation of the initial weights; the output projections of the blocks use it divided by sqrt(2 x "
           "layers)",
           above_up_to(0, 10)),
      Item("precision", s.precision,
           "dtype of the weights in the forward and backward pass; master weights are always fp32",
           one_of({"fp32", "bf16"})),
      Item("activation_checkpointing", s.activation_checkpointing,
           "recompute each block in the backward pass instead of keeping its activations: less memory, more time"),
      Item(
          "init", s.init,
          "model whose weights a new run starts with: a folder of Hugging Face (config.json and *.safetensors), a GGUF "
          "file, a checkpoint folder, or a run folder for its newest checkpoint; options of its shape need not be set; "
          "empty: random weights",
          input_file_or_folder()));
}

void list(Lister& l, Lora& s) {
  l.members(s,  //
            Item("rank", s.rank, "rank of the adapters, which alone are trained; 0: off, all weights are trained",
                 newer(between(0, 4096))),
            Item("alpha", s.alpha, "the update of an adapter is scaled by alpha / rank", newer(above_up_to(0, 1e6))),
            Item("dropout", s.dropout, "share of the inputs of the adapters that is left out in training",
                 newer(from_up_to_below(0, 1))),
            Item("targets", s.targets, "projections that get adapters",
                 newer(one_of({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}))),
            Item("init", s.init, "adapter that a new run starts with, a folder of PEFT; empty: an update of zero",
                 newer(input_file_or_folder())));
}

void list(Lister& l, Chat& s) {
  l.members(
      s,  //
      Item("chat_template", s.chat_template,
           "auto: the chat template of model.init, if it has one; none: a conversation is the contents of its "
           "messages, one after the other; or a file with a template of Jinja2",
           newer()),
      Item("system", s.system, "system message of conversations that have none; empty: none", newer()),
      Item("enable_thinking", s.enable_thinking, "the template's variable of this name; auto: not set",
           newer(one_of({"auto", "on", "off"}))),
      Item("think_open", s.think_open, "text that begins the thinking; empty: that of the template, if it has one",
           newer()),
      Item("think_close", s.think_close, "text that ends the thinking; empty: that of the template, if it has one",
           newer()));
}

void list(Lister& l, Tokenizer& s) {
  l.members(
      s,  //
      Item("kind", s.kind, "auto: the tokenizer of the task, else that of model.init, else that of a token store in data.train, else byte",
           one_of({"auto", "byte", "char", "bpe"})),
      Item("path", s.path,
           "tokenizer file for kind char; empty: the characters of data.train. For kind bpe a tokenizer.json or a "
           "Hugging "
           "Face folder",
           input_file_or_folder()));
}

void list(Lister& l, Data& s) {
  l.members(s,  //
            Item("train", s.train, "text file, JSON Lines (*.jsonl) with a `text` in each line, or HDF5 token store built by `terse data build`", input_file()),
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
            Item("micro_batch", s.micro_batch, "sequences per forward pass; 0: batch_size", between(0, 1 << 20)),
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
      Item("micro_batch", s.micro_batch, "problems or conversations per forward pass; 0: batch_size",
           between(0, 1 << 20)),
      Item("eval_every", s.eval_every, "steps between evaluations and validation losses; 0: only at the end", cosmetic(at_least(0))),
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
      Item("micro_batch", s.micro_batch, "rollouts per forward pass; 0: all", between(0, 1 << 20)),
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
      Group("chat", s.chat, "Conversion of conversations to text"),
      Group("data", s.data, "Texts for pretraining"),
      Group("task", s.task, "Problems with checkable answers, for fine-tuning, reinforcement learning and evaluation"),
      Group("pretrain", s.pretrain, "Next-token prediction on texts"),
      Group("sft", s.sft, "Supervised fine-tuning on conversations, or on demonstrations of the task"),
      Group("rl", s.rl, "Reinforcement learning with thought compression"),
      Group("eval", s.eval, "Evaluation on the task, after each stage that trains on it"),
      Group("engine", s.engine, "Generation of rollouts"),
      Group("parallel", s.parallel, "Distribution of a run over ranks"),
      Group("checkpoint", s.checkpoint, "Saving and resuming"));
}

}  // namespace

FieldTable list_fields(RunConfig& config) {
  FieldTable table;
  Lister lister(table, "");
  list(lister, config);
  return table;
}

}  // namespace terse::configs
