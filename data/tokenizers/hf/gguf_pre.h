// Declares the table of the words of tokenizer.ggml.pre and their meanings, which come from llama.cpp
// (src/llama-vocab.cpp).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizers/hf/write_tokenizer_json.h"

namespace terse::data {

// The defaults are those of llama.cpp. GGUF does not tell a normalizer; Qwen's tokenizers have NFC.
struct GgufPre {
  std::vector<std::string> names;  // the first one is written
  Cutting cutting;
  bool ignore_merges = false;
  bool add_bos = false;  // where tokenizer.ggml.add_bos_token is missing
};

const std::vector<GgufPre>& gguf_pres();

// The values of tokenizer.ggml.token_type.
constexpr int32_t kGgufNormal = 1;
constexpr int32_t kGgufUnknown = 2;
constexpr int32_t kGgufControl = 3;
constexpr int32_t kGgufUserDefined = 4;
constexpr int32_t kGgufUnused = 5;

}  // namespace terse::data
