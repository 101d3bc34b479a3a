// Turns a model of one format into another: a Hugging Face folder, a GGUF file, or a checkpoint of terse. Adapters of
// LoRA are merged into the weights of the output, or written alone as a folder of PEFT.
//
// Weights pass through memory in pieces, so a model may be larger than the memory. The output appears under its name
// only when it is complete and on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/formats/gguf/ggml_type.h"
#include "base/progress.h"

namespace terse::trainer {

enum class ModelFormat { kHf, kGguf, kCheckpoint, kAdapter };

constexpr uint64_t kMaxShardBytes = 5'000'000'000;  // of a safetensors file, as transformers writes them

struct ConvertRequest {
  std::filesystem::path from;          // a Hugging Face folder, a GGUF file, a checkpoint folder, or a run folder
  std::filesystem::path to;            // a folder or a file; what is there is replaced
  std::filesystem::path adapter = {};  // a folder of PEFT, whose adapters are merged into the weights; empty: none
  ModelFormat format = ModelFormat::kHf;
  // F32, F16, BF16 or Q8_0. Empty: each tensor as it is stored, and fp32 where it is quantized. Norms and biases of a
  // GGUF file are always F32, as llama.cpp needs them. Q8_0 is for GGUF files only, and a checkpoint is always F32.
  std::optional<GgmlType> dtype = {};
  uint64_t max_shard_bytes = kMaxShardBytes;
  Progress progress = {};  // bytes of weights
};

struct Converted {
  std::string dtype;  // the types of the weights, that of the most bytes first: "BF16", "Q8_0 and F32"
  size_t tensors = 0;
  size_t files = 0;
  uint64_t bytes = 0;                 // of all files
  std::vector<std::string> left_out;  // what the source has and the output has not
  std::vector<std::string> notes;     // what may surprise a user, one line each
};

// Throws std::invalid_argument, which says what would work, when the source is no model or has no adapters, or when its
// model or its vocabulary or the type has no place in the format; DataError, which names the file and the tensor or the
// key, when the source is damaged or F16 or Q8_0 cannot hold a value; DiskError.
Converted convert_model(const ConvertRequest& request);

}  // namespace terse::trainer
