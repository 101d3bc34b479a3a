// Reads the tokenizer.json of Hugging Face: the serialization of the `tokenizers` library, version 1.0.
//
// Supported are byte-level BPE models (GPT-2, Llama 3, Qwen, SmolLM and others). Anything that would change ids and is
// not supported is refused by name, because a tokenizer that is almost right trains a model on other text than it
// shows.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "data/tokenizers/bpe/bpe_tokenizer.h"

namespace terse::data {

// Tokens that a tokenizer.json does not tell, but the files beside it.
struct TextEnds {
  int32_t bos = -1;          // -1: none
  std::vector<int32_t> eos;  // the first one ends a document; empty: none
};

constexpr size_t kMaxEnds = 1024;  // tokens that end a text

// Returns whether a document looks like a tokenizer.json.
bool is_tokenizer_json(const nlohmann::json& document);

// Makes the definition from a document and its text. Throws std::invalid_argument that names the place in the document,
// what was found and what was expected.
BpeDefinition read_tokenizer_json(const nlohmann::json& document, std::string text);

// Returns the text of a tokenizer.json that also tells the ends, as the member "terse" of its "model". Other programs
// ignore this member. `text` must be a tokenizer.json that read_tokenizer_json() accepts.
std::string with_text_ends(const std::string& text, const TextEnds& ends);

}  // namespace terse::data
