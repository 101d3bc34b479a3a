// The options that say which sizes of work `terse bench` and `terse bench profile` measure.
#pragma once

#include "launch/commands/command.h"
#include "trainer/model/spec.h"

namespace terse::launch {

struct BenchSizes {
  int64_t sequences = 4, tokens = 256;          // of an update
  int64_t prompt_tokens = 32, new_tokens = 64;  // of a response
  int64_t vocab = 0;                            // 0: the tokenizer's

  // Adds the options to a command, before it parses its arguments.
  void add_to(const Command& command);
  // Returns the same, with no more tokens than a model has positions.
  BenchSizes fitting(const trainer::ModelSpec& spec) const;
};

}  // namespace terse::launch
