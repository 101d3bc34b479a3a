// Declares every option of a run in plain structs, with defaults and units. configs/fields/ lists the members of
// each struct once more by name. YAML, --set, error messages, the printed config, the JSON schema and docs/config.md
// all use that list. A RunConfig does not change after start-up.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace terse::configs {

struct Run {
  std::string name = "run";
  std::string dir;              // run folder; empty: runs/<name>
  int64_t seed = 1;             // keys every random number of the run
  std::string device = "auto";  // auto | cpu | cuda
  int64_t threads = 0;          // CPU threads; 0: as many as cores and CPU quota allow
  int64_t log_every = 10;       // steps between metric records
};

// How the frequencies of rotary positions change for sequences longer than those of a model's pretraining. The numbers
// belong to llama3 (trainer/model/spec.h has the formula).
struct RopeScaling {
  std::string type = "none";  // none | llama3
  double factor = 8;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  int64_t original_max_seq_len = 8192;  // longest sequence of the pretraining, tokens
};

struct Model {
  int64_t depth = 0;  // derives layers, hidden size and heads where they are not set beside it (load.h); 0: off
  int64_t layers = 3;
  int64_t hidden_size = 64;
  int64_t heads = 4;     // query heads
  int64_t kv_heads = 0;  // key/value heads; 0: as many as heads
  int64_t head_dim = 0;  // 0: hidden_size / heads
  int64_t intermediate_size =
      0;  // inner size of the feed-forward part (SwiGLU); 0: 8/3 of hidden_size, rounded up to a multiple of 64
  int64_t vocab_size = 0;     // ids that the model knows; 0: as many as the tokenizer has
  int64_t max_seq_len = 256;  // longest sequence, tokens
  double rope_theta = 10000;
  RopeScaling rope_scaling;
  double norm_eps = 1e-6;
  bool qk_norm = false;        // RMSNorm on each query and key head before RoPE (Qwen3)
  bool qkv_bias = false;       // biases on the query, key and value projections (Qwen2)
  bool tie_embeddings = true;  // output head shares the embedding matrix
  double init_std = 0.02;  // standard deviation of initial weights; residual outputs get it divided by sqrt(2 layers)
  // fp32 | bf16: dtype of weights in forward and backward; master weights are always fp32
  std::string precision = "fp32";
  // auto: that of precision | fp32 | bf16: dtype of the keys and values that attention reads, in training, too
  std::string kv_cache_dtype = "auto";
  bool activation_checkpointing = false;  // recompute each block in backward instead of keeping its activations
  // Model whose weights a new run begins with: a Hugging Face folder, a GGUF file, a checkpoint or run folder; empty:
  // random weights.
  std::string init;
};

// The adapters of LoRA (Hu et al. 2021, arXiv 2106.09685), with the names of PEFT. With rank 0 all weights are trained.
struct Lora {
  int64_t rank = 0;    // 0: off; the weights of model.init stay as they are, and only the adapters are trained
  double alpha = 32;   // the update is scaled by alpha / rank
  double dropout = 0;  // share of the adapters' inputs that is left out in training
  // The projections that get adapters: q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj.
  std::vector<std::string> targets = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};
  std::string init;  // adapter whose weights a new run begins with: a folder of PEFT; empty: an update of zero
};

// How a conversation becomes the text that the model sees.
struct Chat {
  // auto: that of model.init, if it has one | none: the contents of the messages, one after the other | a file with a
  // template of Jinja2
  std::string chat_template = "auto";
  std::string system;                    // a system message for conversations without one; empty: none
  std::string enable_thinking = "auto";  // auto | on | off: the template's variable of this name; auto: not set
  // The texts around the thinking. Empty: those of the template, if it has any.
  std::string think_open;
  std::string think_close;
};

struct Tokenizer {
  std::string kind = "auto";  // auto (the task's own, else that of model.init, else byte) | byte | char | bpe
  std::string path;           // saved vocabulary (char); empty: built from data.train. For bpe a file or a folder
};

struct Data {
  std::string train;  // text file, JSON Lines (*.jsonl) with `text`, or HDF5 token store made by `terse data build`
  std::string val;    // the same for validation; empty: val_fraction of train
  // A text gives its end to validation. JSON Lines give it documents that a hash chooses.
  double val_fraction = 0.1;
  std::string separator;  // splits a text file into documents; empty: one document
  // Share of the lines of a JSON Lines file that may be bad: they are left out and written down. With more, a run
  // stops.
  double max_bad_lines = 0.01;
};

using OptionValue = std::variant<bool, int64_t, double, std::string, std::vector<std::string>>;
struct TaskCatalog;  // configs/task_catalog.h

// The options that the tasks declare, and their values. A config of load() has those of the catalog that its defaults
// have. A RunConfig that is made without defaults has none.
class TaskOptions {
 public:
  TaskOptions() = default;
  explicit TaskOptions(std::shared_ptr<const TaskCatalog> catalog);  // all options have their defaults

  const TaskCatalog* catalog() const { return catalog_.get(); }  // null: no task declares anything
  std::vector<OptionValue>& values() { return values_; }         // parallel to the options of the catalog

  // Both throw std::logic_error when no task declares the option. For another type, get() throws
  // std::bad_variant_access, and set() std::logic_error.
  template <class T>
  const T& get(std::string_view name) const {
    return std::get<T>(at(name));
  }
  void set(std::string_view name, OptionValue value);

 private:
  OptionValue& at(std::string_view name);
  const OptionValue& at(std::string_view name) const;

  std::shared_ptr<const TaskCatalog> catalog_;
  std::vector<OptionValue> values_;
};

struct Task {
  std::string name;
  TaskOptions options;
  // Share of each trace form in supervised fine-tuning; they need not sum to 1. Empty: the task's own mixture.
  std::map<std::string, double> forms;
  std::string path;       // tasks that read a file: the items to train on
  std::string eval_path;  // tasks that read a file: the items to evaluate on; empty: a part of `path` is held out
  // The tasks of a mixture by name (task.name: mixture), and the weight of each one there.
  std::map<std::string, Task> mixture;
  double weight = 1;
};

// AdamW and its schedule, shared by the three training stages.
struct Optimizer {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.1;        // on matrices only: norms, biases and embeddings do not decay
  double clip_grad_norm = 1.0;      // global norm; 0: no clipping
  std::string schedule = "cosine";  // constant | linear | cosine | wsd
  int64_t warmup_steps = 0;
  double min_lr_ratio = 0.1;        // final lr / lr, for linear, cosine and wsd
  double decay_fraction = 0.2;      // wsd: share of the steps, at the end, over which the rate falls
  int64_t max_nonfinite_steps = 3;  // skipped updates in a row (non-finite loss or gradient) before the run stops
};

struct Pretrain {
  int64_t steps = 0;
  int64_t batch_size = 12;    // sequences per update
  int64_t micro_batch = 0;    // most sequences per forward pass; 0: batch_size
  int64_t micro_tokens = 0;   // most tokens per forward pass; 0: any number
  int64_t seq_len = 0;        // tokens of a sequence; 0: model.max_seq_len
  int64_t eval_every = 250;   // steps between validation losses; 0: only at the end
  int64_t eval_batches = 50;  // validation batches
  Optimizer optimizer;
};

struct Sft {
  int64_t steps = 0;
  // Conversations to learn from, as JSON Lines with `messages`, or with `prompt` and `completion`; empty: the
  // demonstrations of the task.
  std::string train;
  std::string val;  // the same for a validation loss; empty: val_fraction of train, chosen by a hash
  double val_fraction = 0.05;
  int64_t batch_size = 64;   // problems per update
  int64_t micro_batch = 0;   // most problems per forward pass; 0: batch_size
  int64_t micro_tokens = 0;  // most tokens per forward pass; 0: any number
  int64_t eval_every = 0;    // steps between evaluations and validation losses; 0: only at the end
  Optimizer optimizer;
};

// How length is penalized. `adaptive` needs no number from the user. Each number below belongs to the kind that its
// comment names.
struct Penalty {
  std::string kind = "adaptive";  // none | truncation | group_relative | adaptive
  int64_t limit = 0;              // truncation: longest response that counts as finished, tokens
  double strength = 0.3;          // group_relative: share of the reward that length can take
};

// Beside every RL step, the student, a copy of the policy, learns a shorter form by supervised updates. This requires
// the adaptive penalty.
struct Student {
  int64_t updates = 4;  // supervised updates per step; 0: no student
  int64_t traces = 64;  // traces of each update
  double lr = 6e-4;     // constant
};

struct Rl {
  int64_t steps = 0;
  int64_t prompts = 24;                  // groups per batch of rollouts
  int64_t group_size = 12;               // rollouts per prompt
  int64_t micro_batch = 0;               // most rollouts per forward pass; 0: all
  int64_t micro_tokens = 0;              // most tokens per forward pass; 0: any number
  int64_t prompt_sharing = 8;            // most rollouts that pass behind one copy of their prompt; 1: none share it
  int64_t updates_per_batch = 1;         // optimizer steps per batch of rollouts
  std::string advantage_norm = "batch";  // batch | group | none: whose standard deviation divides the advantage
  std::string loss = "grpo";             // policy loss (rl/update/policy_loss.h)
  double clip_low = 0.2;                 // ratio clipped to [1 - clip_low, 1 + clip_high]
  double clip_high = 0.28;
  int64_t max_staleness = 0;     // updates between the weights that sampled a token and those that train on it; 0: none
  double importance_cap = 2.0;   // largest importance weight of a token that older weights sampled
  double group_deadline = 0;     // seconds after which a group is given to another rollout rank; 0: 5 x the usual
  double entropy_bonus = 0.003;  // weight of the entropy term; the entropy controller raises it when entropy collapses
  bool resample_uniform = true;  // replace groups without a signal (equal rewards or none correct) by fresh prompts
  int64_t max_resample_rounds = 2;
  int64_t demonstrations = 32;        // supervised traces of the mastered form mixed into each update; 0: none
  double demonstration_weight = 1.0;  // weight of the demonstration loss beside the policy loss
  Penalty penalty;
  Student student;
  int64_t eval_every = 50;   // steps between evaluations; 0: only at the end
  int64_t trace_every = 10;  // steps between sampled traces written to traces/
  Optimizer optimizer;
};

struct Eval {
  int64_t problems_per_difficulty = 300;       // final evaluations
  int64_t samples = 4;                         // samples of each problem
  int64_t quick_problems_per_difficulty = 50;  // evaluations during training
  double temperature = 1.0;                    // 0: greedy
};

struct Engine {
  int64_t max_batch = 512;              // sequences that decode together
  double kv_cache_gib = 0;              // memory for keys and values; 0: see rl::EngineOptions
  int64_t chunked_prefill_size = 4096;  // tokens of prompts in one forward pass
  int64_t speculative_tokens = 3;       // guesses per sequence and step, where few sequences run; 0: none
  int64_t max_new_tokens = 0;           // 0: the task's own limit
  double temperature = 1.0;             // sampling of rollouts
  int64_t top_k = 0;                    // 0: off
  double top_p = 1.0;                   // 1: off
  double min_p = 0.0;                   // 0: off
};

// How a run is distributed over the ranks of mpirun or srun. With one rank these options have no effect.
struct Parallel {
  // colocated: every rank generates, then learns | split: some ranks only generate, the others only learn
  std::string layout = "colocated";
  int64_t rollout_ranks = 0;             // split: the last ranks, which only generate in the rl stage; 0: half of all
  std::string weight_transfer = "auto";  // split: auto | fp32 | bf16: dtype of the weights sent to the rollout ranks
  int64_t zero = 1;                      // ZeRO stage: 1 shards optimizer and masters, 2 gradients too, 3 weights too
  bool hierarchical = false;             // shard inside a node, replicate across nodes
  int64_t ranks_per_node = 0;            // consecutive ranks that count as one node; 0: those that share a machine
  std::string backend = "auto";          // auto | mpi | nccl | staged: what carries tensors between ranks
  double deadline = 300;                 // seconds that a rank may keep the others waiting before the job is stopped
};

struct Checkpoint {
  int64_t every = 100;  // steps between checkpoints; 0: only at the end of a stage
  int64_t keep = 2;     // newest good checkpoints kept (at least 2), besides the best of the stage under way
  bool async = true;    // write in the background
};

struct RunConfig {
  std::vector<std::string> stages = {"sft", "rl", "eval"};  // any of pretrain, sft, rl, eval, run in order
  Run run;
  Model model;
  Lora lora;
  Tokenizer tokenizer;
  Chat chat;
  Data data;
  Task task;
  Pretrain pretrain;
  Sft sft;
  Rl rl;
  Eval eval;
  Engine engine;
  Parallel parallel;
  Checkpoint checkpoint;
};

}  // namespace terse::configs
