// A model of another program has its vocabulary in the files of its format; a checkpoint and a run folder keep files of
// their own.
#include "trainer/saved_model/model_vocabulary.h"

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/errors.h"
#include "base/file_system.h"
#include "base/formats/gguf/file.h"
#include "checkpoints/format/manifest.h"
#include "checkpoints/store.h"
#include "data/tokenizers/hf/gguf_vocabulary.h"
#include "data/tokenizers/hf/hf_folder.h"
#include "data/tokenizers/tokenizer_factory.h"
#include "trainer/saved_model/gguf_model.h"
#include "trainer/saved_model/hf_model.h"
#include "trainer/saved_model/saved_model.h"

namespace terse::trainer {

namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& file) {
  return read_input(file, checkpoints::kMaxTextBytes);
}

bool has(const fs::path& file) {
  std::error_code ignored;
  return fs::is_regular_file(file, ignored);
}

void set_template(const fs::path& file, ModelVocabulary& vocabulary) {
  vocabulary.chat_template = text_of(file);
  vocabulary.template_name = file.string();
}

// "chat_template" of tokenizer_config.json: a text, or a list of templates with names.
std::string template_of_config(const fs::path& file) {
  const nlohmann::json document = checkpoints::parse_json(text_of(file));
  const auto found = document.is_object() ? document.find("chat_template") : document.end();
  if (found == document.end() || found->is_null()) return "";
  if (found->is_string()) return found->get<std::string>();
  for (const nlohmann::json& entry : found->is_array() ? *found : nlohmann::json::array()) {
    if (entry.is_object() && entry.value("name", nlohmann::json()) == "default" && entry.contains("template") &&
        entry["template"].is_string())
      return entry["template"].get<std::string>();
  }
  throw DataError("\"chat_template\" is neither a text nor a list with a template named \"default\"");
}

ModelVocabulary of_hf_folder(const fs::path& folder) {
  ModelVocabulary result;
  if (data::is_hf_folder(folder)) result.tokenizer = data::load_tokenizer(folder);
  if (has(folder / kChatTemplateFile)) {
    set_template(folder / kChatTemplateFile, result);
  } else if (const fs::path config = folder / "tokenizer_config.json"; has(config)) {
    try {
      result.chat_template = template_of_config(config);
      result.template_name = fmt::format("{}: chat_template", config.string());
    } catch (const DataError& error) {
      throw DataError(fmt::format("{}: {}", config.string(), error.what()));
    }
  }
  return result;
}

ModelVocabulary of_gguf_file(const fs::path& path) {
  const GgufFile file(path);
  ModelVocabulary result;
  if (file.has("tokenizer.chat_template")) result.chat_template = file.text("tokenizer.chat_template");
  result.template_name = fmt::format("{}: tokenizer.chat_template", path.string());
  const auto key = [](const char* name) { return std::string("tokenizer.ggml.") + name; };
  // llama.cpp writes "none" or "no_vocab" for a model without a vocabulary.
  const std::string_view model = file.has(key("model")) ? file.text(key("model")) : "none";
  if (model == "none" || model == "no_vocab") return result;
  const auto id = [&](const char* name) {
    return file.has(key(name)) ? std::optional(file.integer(key(name))) : std::nullopt;
  };
  const auto flag = [&](const char* name) {
    return file.has(key(name)) ? std::optional(file.boolean(key(name))) : std::nullopt;
  };
  const auto texts = [&](const char* name) {
    const std::vector<std::string_view> views = file.texts(key(name));
    return std::vector<std::string>(views.begin(), views.end());
  };
  data::GgufVocabulary given;
  given.model = model;
  if (file.has(key("pre"))) given.pre = file.text(key("pre"));
  given.tokens = texts("tokens");
  if (file.has(key("merges"))) given.merges = texts("merges");
  if (file.has(key("token_type"))) {
    for (const int64_t type : file.integers(key("token_type"))) {
      if (type < INT32_MIN || type > INT32_MAX) {
        throw DataError(
            fmt::format("{}: key {} holds {}, which is no type of a token", path.string(), key("token_type"), type));
      }
      given.token_types.push_back(static_cast<int32_t>(type));
    }
  }
  given.bos = id("bos_token_id");
  given.eos = id("eos_token_id");
  given.eot = id("eot_token_id");
  given.add_bos = flag("add_bos_token");
  given.add_eos = flag("add_eos_token");
  result.tokenizer = data::parse_tokenizer(data::tokenizer_json_of(given, path.string()), path.string());
  return result;
}

// A run folder has the same files as its checkpoints. They are there before its first save, too.
ModelVocabulary of_own_folder(const fs::path& folder) {
  ModelVocabulary result;
  if (has(folder / kVocabularyFile)) result.tokenizer = data::load_tokenizer(folder / kVocabularyFile);
  if (has(folder / kChatTemplateFile)) set_template(folder / kChatTemplateFile, result);
  return result;
}

}  // namespace

ModelVocabulary load_model_vocabulary(const fs::path& source) {
  if (checkpoints::is_checkpoint(source)) return of_own_folder(source);
  if (is_hf_model(source)) return of_hf_folder(source);
  if (is_gguf_file(source)) return of_gguf_file(source);
  return of_own_folder(source);
}

}  // namespace terse::trainer
