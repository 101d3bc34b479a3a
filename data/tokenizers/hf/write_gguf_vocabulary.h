// Turns a tokenizer.json into the metadata of a GGUF file: the inverse of gguf_vocabulary.h.
#pragma once

#include <string>
#include <vector>

#include "data/tokenizers/hf/gguf_vocabulary.h"

namespace terse::data {

// Whether a tokenizer is one that a GGUF file and the `tokenizers` library can tell: byte-level BPE.
bool is_bpe(const Tokenizer& tokenizer);

struct WrittenGgufVocabulary {
  GgufVocabulary vocabulary;
  std::vector<std::string> notes;  // what a GGUF file cannot tell and may surprise a user, one line each
};

// Returns the metadata of a tokenizer that is_bpe(). `vocab_size` is the model's number of ids; ids without a token get
// unused tokens, "[PAD151665]", as llama.cpp's converter gives them. Throws DataError that starts with `origin`, when
// tokenizer.ggml.pre has no word for the way in which the tokenizer cuts text, and when the tokenizer has more tokens
// than the model.
WrittenGgufVocabulary gguf_vocabulary_of(const Tokenizer& tokenizer, int64_t vocab_size, const std::string& origin);

}  // namespace terse::data
