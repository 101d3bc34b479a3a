// Keeps the meanings in a table, which reading and writing share.
#include "data/tokenizers/hf/gguf_pre.h"

#include "data/tokenizers/hf/patterns.h"

namespace terse::data {

const std::vector<GgufPre>& gguf_pres() {
  static const std::vector<GgufPre> kPres = {
      {{"gpt-2", "phi-2", "olmo", "mpt", "exaone4", "modern-bert"}, {false, false, kGpt2Pattern}},
      {{"smollm", "starcoder", "refact", "codeshell"}, {false, true, kGpt2Pattern}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3"}, {false, false, kLlama3Pattern}, true, true},
      {{"dbrx", "smaug-bpe"}, {false, false, kLlama3Pattern}},
      {{"qwen2", "deepseek-r1-qwen", "megrez"}, {true, false, kQwen2Pattern}},
      {{"tekken"}, {false, false, kTekkenPattern}, true, true}};
  return kPres;
}

}  // namespace terse::data
