// Turns the tokenizer in the metadata of a GGUF file into a tokenizer.json that encodes as it does.
//
// The keys are those of the GGUF specification ("tokenizer.ggml.*"). A GGUF file names its way to cut text only by a
// word, tokenizer.ggml.pre, whose meaning is in llama.cpp (src/llama-vocab.cpp).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/tokenizers/tokenizer.h"

namespace terse::data {

struct GgufVocabulary {
  std::string model;                // tokenizer.ggml.model; "gpt2" is byte-level BPE
  std::string pre;                  // tokenizer.ggml.pre; empty: missing
  std::vector<std::string> tokens;  // tokenizer.ggml.tokens, in byte characters
  // tokenizer.ggml.token_type, one for each token: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
  // Empty: all are normal.
  std::vector<int32_t> token_types;
  std::vector<std::string> merges;  // tokenizer.ggml.merges, "left right"
  std::optional<int64_t> bos;       // tokenizer.ggml.bos_token_id
  std::optional<int64_t> eos;       // tokenizer.ggml.eos_token_id
  std::optional<int64_t> eot;       // tokenizer.ggml.eot_token_id: ends a turn, and so a response
  std::optional<bool> add_bos;      // tokenizer.ggml.add_bos_token
  std::optional<bool> add_eos;      // tokenizer.ggml.add_eos_token
};

// Returns the text of a tokenizer.json. Throws DataError that starts with `origin`, a file name, and names the key,
// what was found and what was expected. It does not compare merges with tokens, which reading the text does.
std::string tokenizer_json_of(const GgufVocabulary& vocabulary, const std::string& origin);

}  // namespace terse::data
