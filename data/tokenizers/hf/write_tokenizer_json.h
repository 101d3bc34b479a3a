// Writes a tokenizer.json that the `tokenizers` library reads, for byte-level BPE.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "data/tokenizers/bpe/added_tokens.h"

namespace terse::data {

// Tells how text is cut before it is encoded.
struct Cutting {
  bool nfc = false;               // first normalizes
  bool single_digits = false;     // then every digit stands alone
  const char* pattern = nullptr;  // one of hf/patterns.h
};

struct WrittenTokenizer {
  // By id, in byte characters (bpe/byte_level.h). An added token is there, too, or has an id from tokens.size() on.
  // An empty token stands for an id without a token.
  std::vector<std::string> tokens;
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<AddedToken> added;
  Cutting cutting;
  bool ignore_merges = false;
  int32_t bos = -1;
  std::vector<int32_t> eos;
  bool adds_bos = false;  // needs a bos that is an added token; adds_eos likewise
  bool adds_eos = false;
};

// Returns the text. Throws std::invalid_argument when two ids have the same token.
std::string write_tokenizer_json(const WrittenTokenizer& tokenizer);

// Returns the members "normalizer" and "pre_tokenizer" of the text, as a text of their own.
std::string write_preparation(const Cutting& cutting);

}  // namespace terse::data
