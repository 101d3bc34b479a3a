// Writes the keys and tensors that llama.cpp reads (src/llama-arch.cpp, src/llama-model.cpp), as its own converter does
// (convert_hf_to_gguf.py).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

#include "base/formats/gguf/quantization.h"
#include "base/formats/gguf/writer.h"
#include "data/tokenizers/hf/write_gguf_vocabulary.h"
#include "trainer/saved_model/convert/outputs.h"
#include "trainer/saved_model/gguf_model.h"

namespace terse::trainer {

namespace {

constexpr uint32_t kQuantizationVersion = 2;  // GGML_QNT_VERSION

const char* architecture_of(const ModelSpec& spec) {
  if (spec.qkv_bias) return "qwen2";
  return spec.qk_norm ? "qwen3" : "llama";
}

void require_architecture(const ModelSpec& spec) {
  if (spec.qkv_bias && spec.qk_norm) {
    throw std::invalid_argument(
        "llama.cpp has no model with both QK-norm and biases, so there is no GGUF file of it; convert it to a folder");
  }
  if (spec.rope_scaling.type == "llama3" && (spec.qkv_bias || spec.qk_norm)) {
    throw std::invalid_argument(fmt::format(
        "llama.cpp scales rotary positions as Llama 3 does only for models of Llama, and this one is {}; convert it to "
        "a folder",
        architecture_of(spec)));
  }
}

// By how much each frequency of rotary positions is divided.
std::vector<float> rope_factors(const ModelSpec& spec) {
  ModelSpec plain = spec;
  plain.rope_scaling = {};
  const std::vector<double> before = rope_frequencies(plain), after = rope_frequencies(spec);
  std::vector<float> factors;
  for (size_t i = 0; i < before.size(); ++i) factors.push_back(static_cast<float>(before[i] / after[i]));
  return factors;
}

// The values of enum llama_ftype.
uint32_t file_type(GgmlType type) {
  switch (type) {
    case GgmlType::kF16:
      return 1;
    case GgmlType::kQ8_0:
      return 7;
    case GgmlType::kBF16:
      return 32;
    default:
      return 0;
  }
}

void add_shape(GgufMetadata& metadata, const ModelSpec& spec) {
  const std::string architecture = architecture_of(spec);
  const auto size = [&](const char* key, int64_t value) {
    metadata.add_uint32(fmt::format("{}.{}", architecture, key), static_cast<uint32_t>(value));
  };
  const auto number = [&](const char* key, double value) {
    metadata.add_float32(fmt::format("{}.{}", architecture, key), static_cast<float>(value));
  };
  size("block_count", spec.layers);
  size("context_length", spec.max_seq_len);
  size("embedding_length", spec.hidden_size);
  size("feed_forward_length", spec.intermediate_size);
  size("attention.head_count", spec.heads);
  size("attention.head_count_kv", spec.kv_heads);
  number("rope.freq_base", spec.rope_theta);
  number("attention.layer_norm_rms_epsilon", spec.norm_eps);
  size("attention.key_length", spec.head_dim);
  size("attention.value_length", spec.head_dim);
  size("rope.dimension_count", spec.head_dim);
  size("vocab_size", spec.vocab);
}

void add_vocabulary(GgufMetadata& metadata, const ConvertSource& source, std::vector<std::string>& notes) {
  const data::Tokenizer* tokenizer = source.vocabulary.tokenizer.get();
  const auto key = [](const char* name) { return fmt::format("tokenizer.ggml.{}", name); };
  if (tokenizer == nullptr || !data::is_bpe(*tokenizer)) {
    metadata.add_text(key("model"), "none");  // llama.cpp then takes and gives token ids
    if (tokenizer != nullptr) {
      notes.push_back(
          fmt::format("the file has no vocabulary, because llama.cpp has no counterpart of the tokenizer {}: programs "
                      "can only give "
                      "it token ids",
                      tokenizer->id()));
    }
    return;
  }
  const data::WrittenGgufVocabulary written =
      data::gguf_vocabulary_of(*tokenizer, source.model->spec().vocab, source.path.string());
  notes.insert(notes.end(), written.notes.begin(), written.notes.end());
  const data::GgufVocabulary& vocabulary = written.vocabulary;
  metadata.add_text(key("model"), vocabulary.model);
  metadata.add_text(key("pre"), vocabulary.pre);
  metadata.add_texts(key("tokens"), vocabulary.tokens);
  metadata.add_int32s(key("token_type"), vocabulary.token_types);
  metadata.add_texts(key("merges"), vocabulary.merges);
  const auto id = [&](const char* name, const std::optional<int64_t>& value) {
    if (value) metadata.add_uint32(key(name), static_cast<uint32_t>(*value));
  };
  id("bos_token_id", vocabulary.bos);
  id("eos_token_id", vocabulary.eos);
  id("eot_token_id", vocabulary.eot);
  metadata.add_bool(key("add_bos_token"), vocabulary.add_bos.value_or(false));
  metadata.add_bool(key("add_eos_token"), vocabulary.add_eos.value_or(false));
}

// A GGUF file keeps its metadata, but for what depends on the types of the tensors.
GgufMetadata kept_metadata(const GgufFile& file, GgmlType type) {
  GgufMetadata metadata;
  for (const GgufEntry& entry : file.metadata()) {
    if (entry.key == kGgufAlignmentKey || entry.key == "general.file_type" ||
        entry.key == "general.quantization_version" || entry.key.starts_with("split.")) {
      continue;
    }
    metadata.add(entry);
  }
  metadata.add_uint32("general.file_type", file_type(type));
  metadata.add_uint32("general.quantization_version", kQuantizationVersion);
  return metadata;
}

GgufMetadata new_metadata(const ConvertSource& source, GgmlType type, std::vector<std::string>& notes) {
  GgufMetadata metadata;
  metadata.add_text("general.architecture", architecture_of(source.model->spec()));
  metadata.add_text("general.type", "model");
  metadata.add_text("general.name", source.name);
  add_shape(metadata, source.model->spec());
  metadata.add_uint32("general.file_type", file_type(type));
  metadata.add_uint32("general.quantization_version", kQuantizationVersion);
  add_vocabulary(metadata, source, notes);
  if (!source.vocabulary.chat_template.empty())
    metadata.add_text("tokenizer.chat_template", source.vocabulary.chat_template);
  return metadata;
}

// rope_freqs.weight; nothing where rotary positions are not scaled.
std::string rope_bytes(const ModelSpec& spec, const GgufFile* source) {
  if (spec.rope_scaling.type != "llama3") return "";
  std::vector<float> factors(static_cast<size_t>(spec.head_dim / 2));
  if (source == nullptr) {
    factors = rope_factors(spec);
  } else {
    source->read_rows(source->tensor(kGgufRopeFactors), 0, 1, factors);
  }
  return quantize(GgmlType::kF32, factors, kGgufRopeFactors);
}

}  // namespace

std::vector<OutputWeight> gguf_weights(const ModelFiles& model, std::optional<GgmlType> dtype,
                                       std::vector<std::string>& notes) {
  require_architecture(model.spec());
  const bool is_llama = std::string_view(architecture_of(model.spec())) == "llama";
  std::vector<OutputWeight> weights = output_weights(model, dtype);
  int64_t unfit = 0;
  for (OutputWeight& weight : weights) {
    const std::string& name = weight.info.name;
    weight.name = gguf_name(name);
    weight.gguf_order = is_llama && (name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight"));
    if (weight.info.shape.size() == 1) weight.type = GgmlType::kF32;
    if (ggml_bytes(weight.type, weight.info.shape).has_value()) continue;
    weight.type = GgmlType::kF16;  // as llama.cpp's converter does
    ++unfit;
  }
  if (unfit > 0) {
    notes.push_back(fmt::format("{} tensors are F16, because Q8_0 needs rows of a multiple of {} elements", unfit,
                                ggml_block_elements(GgmlType::kQ8_0)));
  }
  return weights;
}

std::vector<std::string> write_gguf_file(const std::filesystem::path& file, const ConvertSource& source,
                                         const std::vector<OutputWeight>& weights, WrittenBytes& written) {
  std::vector<std::string> notes;
  const ModelSpec& spec = source.model->spec();
  std::unique_ptr<GgufFile> original;
  if (source.is_gguf) original = std::make_unique<GgufFile>(source.path);
  const GgmlType type = main_type(weights);
  const GgufMetadata metadata = original ? kept_metadata(*original, type) : new_metadata(source, type, notes);
  const std::string factors = rope_bytes(spec, original.get());
  std::vector<GgufSpec> specs;
  if (!factors.empty()) specs.push_back({std::string(kGgufRopeFactors), GgmlType::kF32, {spec.head_dim / 2}});
  for (const OutputWeight& weight : weights) specs.push_back({weight.name, weight.type, weight.info.shape});
  GgufWriter writer(file, metadata, specs);
  if (!factors.empty()) writer.write(kGgufRopeFactors, factors);
  for (const OutputWeight& weight : weights) {
    write_weight(*source.model, weight, [&](std::string_view bytes) {
      writer.write(weight.name, bytes);
      written.add(bytes.size());
    });
  }
  writer.finish();
  return notes;
}

}  // namespace terse::trainer
