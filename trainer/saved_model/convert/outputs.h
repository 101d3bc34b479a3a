// Writes each of the formats. All functions throw DiskError, and what write_weight() throws.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "trainer/saved_model/convert/source.h"
#include "trainer/saved_model/convert/weights.h"

namespace terse::trainer {

// Counts the bytes of weights that have been written.
class WrittenBytes {
 public:
  WrittenBytes(Progress progress, int64_t total) : progress_(std::move(progress)), total_(total) {}
  void add(size_t bytes) {
    done_ += static_cast<int64_t>(bytes);
    if (progress_) progress_(done_, total_);
  }

 private:
  Progress progress_;
  int64_t done_ = 0, total_;
};

// Fills a folder as `transformers` reads it: weights, config.json, generation_config.json, the tokenizer and the chat
// template. Returns notes.
std::vector<std::string> write_hf_folder(const std::filesystem::path& folder, const ConvertSource& source,
                                         const std::vector<OutputWeight>& weights, uint64_t max_shard_bytes,
                                         WrittenBytes& written);

// The weights of a GGUF file, under llama.cpp's names. Throws std::invalid_argument for a shape that llama.cpp has not.
// `notes` gets a line for weights whose rows Q8_0 cannot hold, which become F16.
std::vector<OutputWeight> gguf_weights(const ModelFiles& model, std::optional<GgmlType> dtype,
                                       std::vector<std::string>& notes);
// Writes the file. Returns notes. Throws DataError for a tokenizer that llama.cpp has not.
std::vector<std::string> write_gguf_file(const std::filesystem::path& file, const ConvertSource& source,
                                         const std::vector<OutputWeight>& weights, WrittenBytes& written);

// Fills a folder with a checkpoint that is complete in itself (saved_model.h). Its step is that of the source, or the
// one that the name of `final` tells, or 0. Throws std::invalid_argument for a source without a tokenizer.
void write_checkpoint_folder(const std::filesystem::path& folder, const std::filesystem::path& final,
                             const ConvertSource& source, const std::vector<OutputWeight>& weights,
                             WrittenBytes& written);

}  // namespace terse::trainer
