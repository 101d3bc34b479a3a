// Declares the options, and fits them to a model.
#include "launch/commands/bench_sizes.h"

#include <algorithm>

namespace terse::launch {

void BenchSizes::add_to(const Command& command) {
  command.number("--sequences", sequences, 1, 1 << 20, "Sequences of an update (default: 4)");
  command.number("--tokens", tokens, 2, 1 << 24, "Tokens of each (default: 256, or the longest sequence)");
  command.number("--prompt-tokens", prompt_tokens, 1, 1 << 24, "Tokens of a prompt (default: 32)");
  command.number("--new-tokens", new_tokens, 2, 1 << 24, "Tokens of a response (default: 64)");
  command.number("--vocab", vocab, 2, 1 << 30, "Size of the vocabulary (default: the tokenizer's)");
}

BenchSizes BenchSizes::fitting(const trainer::ModelSpec& spec) const {
  BenchSizes sizes = *this;
  sizes.tokens = std::min(tokens, spec.max_seq_len);
  sizes.new_tokens = std::min(new_tokens, spec.max_seq_len / 2);
  sizes.prompt_tokens = std::min(prompt_tokens, spec.max_seq_len - sizes.new_tokens);
  return sizes;
}

}  // namespace terse::launch
