// Writes the files of a Hugging Face folder. What a tokenizer.json does not tell, such as where a text ends, stands in
// the files beside it.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/durable.h"
#include "base/errors.h"
#include "base/file_system.h"
#include "base/formats/safetensors/folder.h"
#include "base/formats/safetensors/writer.h"
#include "base/utf8.h"
#include "checkpoints/format/manifest.h"
#include "data/tokenizers/hf/write_gguf_vocabulary.h"
#include "trainer/saved_model/convert/outputs.h"
#include "trainer/saved_model/hf_config.h"
#include "trainer/saved_model/saved_model.h"

namespace terse::trainer {

namespace fs = std::filesystem;

namespace {

using nlohmann::json;

SafetensorsDtype safetensors_type(GgmlType type) {
  switch (type) {
    case GgmlType::kF16:
      return SafetensorsDtype::kF16;
    case GgmlType::kBF16:
      return SafetensorsDtype::kBF16;
    default:
      return SafetensorsDtype::kF32;
  }
}

const char* torch_name(GgmlType type) {
  switch (type) {
    case GgmlType::kF16:
      return "float16";
    case GgmlType::kBF16:
      return "bfloat16";
    default:
      return "float32";
  }
}

void write_json(const fs::path& file, const json& document) {
  write_durably(file, document.dump(2) + "\n");
}

// A folder keeps the sampling defaults of its model.
json generation_config(const ConvertSource& source) {
  json config = json::object();
  const fs::path file = source.path / "generation_config.json";
  if (source.is_hf && posix_file_system()->kind(fs::weakly_canonical(file)) == EntryKind::kFile) {
    const std::string text = read_input(file, checkpoints::kMaxTextBytes);
    try {
      config = checkpoints::parse_json(text);
    } catch (const DataError& error) {
      throw DataError(fmt::format("{}: {}", file.string(), error.what()));
    }
    if (!config.is_object()) throw DataError(fmt::format("{}: it is not a JSON object", file.string()));
  }
  if (source.vocabulary.tokenizer == nullptr) return config;
  const data::Tokenizer& tokenizer = *source.vocabulary.tokenizer;
  const std::vector<int32_t> ends = tokenizer.eos_ids();
  if (tokenizer.bos() >= 0) config["bos_token_id"] = tokenizer.bos();
  if (ends.size() == 1) config["eos_token_id"] = ends.front();
  if (ends.size() > 1) config["eos_token_id"] = ends;
  return config;
}

// The text of a token, or null where it has none that JSON can hold.
json token_text(const data::Tokenizer& tokenizer, int32_t id) {
  if (id < 0) return nullptr;
  std::string text = tokenizer.decode({id});
  if (text.empty() || find_invalid_utf8(text) != std::string_view::npos) return nullptr;
  return text;
}

void write_tokenizer(const fs::path& folder, const ModelVocabulary& vocabulary, int64_t max_seq_len,
                     std::vector<std::string>& notes) {
  const data::Tokenizer& tokenizer = *vocabulary.tokenizer;
  write_durably(folder / "tokenizer.json", tokenizer.definition() + "\n");
  if (!data::is_bpe(tokenizer)) {
    notes.push_back(fmt::format(
        "tokenizer.json holds the tokenizer {} in terse's own format, which only terse reads: the tokenizers library "
        "has no counterpart",
        tokenizer.id()));
    return;
  }
  json names = {{"bos_token", token_text(tokenizer, tokenizer.bos())},
                {"eos_token", token_text(tokenizer, tokenizer.eos())}};
  json config = names;
  config["tokenizer_class"] = "PreTrainedTokenizerFast";
  config["clean_up_tokenization_spaces"] = false;
  config["model_max_length"] = max_seq_len;
  if (!vocabulary.chat_template.empty()) config["chat_template"] = vocabulary.chat_template;
  write_json(folder / "tokenizer_config.json", config);
  for (const char* key : {"bos_token", "eos_token"})
    if (names[key].is_null()) names.erase(key);
  write_json(folder / "special_tokens_map.json", names);
}

}  // namespace

std::vector<std::string> write_hf_folder(const fs::path& folder, const ConvertSource& source,
                                         const std::vector<OutputWeight>& weights, uint64_t max_shard_bytes,
                                         WrittenBytes& written) {
  std::vector<SafetensorsSpec> specs;
  std::map<std::string, const OutputWeight*> by_name;
  for (const OutputWeight& weight : weights) {
    specs.push_back({weight.name, safetensors_type(weight.type), weight.info.shape});
    by_name[weight.name] = &weight;
  }
  SafetensorsFolderWriter writer(folder, specs, max_shard_bytes, {{"format", "pt"}});
  for (const SafetensorsSpec& spec : writer.tensors()) {
    write_weight(*source.model, *by_name.at(spec.name), [&](std::string_view bytes) {
      writer.write(spec.name, bytes);
      written.add(bytes.size());
    });
  }
  writer.finish();
  std::vector<std::string> notes;
  const data::Tokenizer* tokenizer = source.vocabulary.tokenizer.get();
  const ModelSpec& spec = source.model->spec();
  json config = tokenizer == nullptr ? to_hf_config(spec) : to_hf_config(spec, tokenizer->bos(), tokenizer->eos_ids());
  config["torch_dtype"] = torch_name(main_type(weights));
  write_json(folder / "config.json", config);
  if (const json generation = generation_config(source); !generation.empty())
    write_json(folder / "generation_config.json", generation);
  if (tokenizer != nullptr) write_tokenizer(folder, source.vocabulary, spec.max_seq_len, notes);
  if (!source.vocabulary.chat_template.empty())
    write_durably(folder / kChatTemplateFile, source.vocabulary.chat_template);
  if (spec.qkv_bias && spec.qk_norm) {
    notes.push_back("transformers has no model with both QK-norm and biases, so only terse reads this one");
  }
  return notes;
}

}  // namespace terse::trainer
