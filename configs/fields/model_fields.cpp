// The field lists of the model, of its adapters, and of what turns text into its tokens.
#include "configs/fields/lister.h"

namespace terse::configs {

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
      Item("kv_cache_dtype", s.kv_cache_dtype,
           "dtype of the keys and values that attention reads, in generation and in training: what the cache rounds, "
           "the learner rounds, so log-probs stay equal; auto: that of model.precision",
           newer(one_of({"auto", "fp32", "bf16"}))),
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
  l.members(s,  //
            Item("chat_template", s.chat_template,
                 "auto: the chat template of model.init, if it has one; none: a conversation is the contents of its "
                 "messages, one after the other; or a file with a template of Jinja2",
                 newer(input_file_or_one_of({"auto", "none"}))),
            Item("system", s.system, "system message of conversations that have none; empty: none", newer()),
            Item("enable_thinking", s.enable_thinking, "the template's variable of this name; auto: not set",
                 newer(one_of({"auto", "on", "off"}))),
            Item("think_open", s.think_open,
                 "text that begins the thinking; empty: that of the template, if it has one", newer()),
            Item("think_close", s.think_close,
                 "text that ends the thinking; empty: that of the template, if it has one", newer()));
}

void list(Lister& l, Tokenizer& s) {
  l.members(
      s,  //
      Item("kind", s.kind,
           "auto: the tokenizer of the task, else that of model.init, else that of a token store in data.train, else "
           "byte",
           one_of({"auto", "byte", "char", "bpe"})),
      Item("path", s.path,
           "tokenizer file for kind char; empty: the characters of data.train. For kind bpe a tokenizer.json or a "
           "Hugging "
           "Face folder",
           input_file_or_folder()));
}

}  // namespace terse::configs
