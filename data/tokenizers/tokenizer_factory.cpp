// Parses each kind of tokenizer definition, and finds the source of a config's tokenizer.
#include "data/tokenizers/tokenizer_factory.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/durable.h"
#include "base/errors.h"
#include "base/text/message_text.h"
#include "base/utf8.h"
#include "configs/load.h"
#include "data/store/token_store.h"
#include "data/text_reader.h"
#include "data/tokenizers/byte_tokenizer.h"
#include "data/tokenizers/char_tokenizer.h"
#include "data/tokenizers/definition_file.h"
#include "data/tokenizers/hf/hf_folder.h"
#include "data/tokenizers/hf/json_place.h"
#include "data/tokenizers/hf/tokenizer_json.h"
#include "data/tokenizers/symbol_tokenizer.h"

namespace terse::data {

namespace {

using nlohmann::json;

constexpr const char* kOwnFormat = "terse-tokenizer";  // "format" of a definition that is no tokenizer.json

std::shared_ptr<const Tokenizer> parse_char(const json& definition) {
  std::vector<char32_t> characters;
  for (const json& entry : definition.at("characters")) {
    const std::string& text = entry.get_ref<const std::string&>();
    const CodePoint point = text.empty() ? CodePoint{} : first_code_point(text);
    if (point.length == 0 || static_cast<size_t>(point.length) != text.size()) {
      throw std::invalid_argument(fmt::format("\"{}\" in \"characters\" is not one character", printable(text)));
    }
    if (!characters.empty() && point.value <= characters.back()) {
      throw std::invalid_argument(fmt::format("\"characters\" must be in ascending order, but {} follows {}",
                                              describe_character(point.value), describe_character(characters.back())));
    }
    characters.push_back(point.value);
  }
  return std::make_shared<CharTokenizer>(std::move(characters));
}

std::shared_ptr<const Tokenizer> parse_definition(std::string_view text) {
  const json definition = parse_json_strictly(text);
  if (is_tokenizer_json(definition)) {
    return std::make_shared<BpeTokenizer>(read_tokenizer_json(definition, std::string(text)));
  }
  if (!definition.is_object() || definition.value("format", "") != kOwnFormat) {
    throw std::invalid_argument("it has neither \"format\": \"terse-tokenizer\" nor a \"model\"");
  }
  if (definition.at("version") != 1) {
    throw std::invalid_argument(
        fmt::format("its version is {}, this program reads version 1", definition.at("version").dump()));
  }
  const std::string kind = definition.at("kind").get<std::string>();
  if (kind == "byte") return std::make_shared<ByteTokenizer>();
  if (kind == "char") return parse_char(definition);
  if (kind == "symbol") {
    return std::make_shared<SymbolTokenizer>(definition.at("name").get<std::string>(),
                                             definition.at("symbols").get<std::vector<std::string>>());
  }
  throw std::invalid_argument(fmt::format("its kind is \"{}\"; known: byte, char, symbol", kind));
}

// Whether a text is a definition of terse's own. A tokenizer.json of many MiB, which has not the word, is not parsed.
bool is_own_definition(std::string_view text) {
  if (text.find(fmt::format("\"{}\"", kOwnFormat)) == std::string_view::npos) return false;
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto format = document.find("format");
  return format != document.end() && *format == kOwnFormat;
}

// The tokenizer of tokenizer.path, or else of the token store.
std::shared_ptr<const Tokenizer> make_from_path(const configs::Tokenizer& config,
                                                const std::shared_ptr<const TokenStore>& store) {
  if (config.path.empty()) return store->tokenizer();
  if (!std::filesystem::exists(config.path)) {
    throw ConfigError(fmt::format("tokenizer.path: no such file: {}", config.path));
  }
  return load_tokenizer(config.path);
}

std::shared_ptr<const Tokenizer> make_char(const configs::Tokenizer& config, const std::filesystem::path& train,
                                           const std::string& separator, const std::shared_ptr<const TokenStore>& store,
                                           const Progress& progress) {
  if (!config.path.empty() || store) return make_from_path(config, store);
  if (train.empty()) {
    throw ConfigError(
        "tokenizer.kind is char, but tokenizer.path and data.train are empty: name a tokenizer file or a text");
  }
  return train_char_tokenizer({train}, separator, progress);
}

void require_kind(const std::string& id, const std::string& kind, const std::string& from) {
  if (id != kind && !id.starts_with(kind + ":")) {
    throw ConfigError(fmt::format("tokenizer.kind is {}, but the tokenizer of {} is {}", kind, from, id));
  }
}

}  // namespace

std::shared_ptr<const Tokenizer> parse_tokenizer(std::string_view definition, const std::string& origin) {
  try {
    return parse_definition(definition);
  } catch (const json::exception& error) {
    throw DataError(fmt::format("{}: not a tokenizer: {}", origin, message_text(error.what())));
  } catch (const std::invalid_argument& error) {
    throw DataError(fmt::format("{}: not a tokenizer: {}", origin, message_text(error.what())));
  }
}

std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path) {
  if (is_hf_folder(path)) {
    // A model of terse that was exported has a tokenizer of terse's own there.
    const std::filesystem::path file = path / "tokenizer.json";
    return is_own_definition(read_definition_file(file)) ? load_tokenizer(file) : load_hf_tokenizer(path);
  }
  return parse_tokenizer(read_definition_file(path), path.string());
}

void save_tokenizer(const std::filesystem::path& path, const Tokenizer& tokenizer) {
  write_durably(path, tokenizer.definition() + "\n");
}

std::shared_ptr<const Tokenizer> make_tokenizer(const configs::Tokenizer& config, const std::filesystem::path& train,
                                                const std::string& separator, const Progress& progress) {
  if (!train.empty() && !std::filesystem::exists(train)) {
    throw ConfigError(fmt::format("data.train: no such file: {}", train.string()));
  }
  const auto store = !train.empty() && is_hdf5(train) ? TokenStore::open(train) : nullptr;
  if (config.kind == "auto") {
    if (store) return store->tokenizer();
    return std::make_shared<ByteTokenizer>();
  }
  if (config.kind == "byte") return std::make_shared<ByteTokenizer>();
  if (config.kind == "char") {
    auto tokenizer = make_char(config, train, separator, store, progress);
    require_kind(tokenizer->id(), "char", config.path.empty() ? train.string() : config.path);
    return tokenizer;
  }
  if (config.kind == "bpe") {
    if (config.path.empty() && !store) {
      throw ConfigError(
          "tokenizer.kind is bpe, but tokenizer.path is empty: name a tokenizer.json or a Hugging Face folder");
    }
    auto tokenizer = make_from_path(config, store);
    require_kind(tokenizer->id(), "bpe", config.path.empty() ? train.string() : config.path);
    return tokenizer;
  }
  throw ConfigError(fmt::format("tokenizer.kind is \"{}\"; known: auto, byte, char, bpe", config.kind));
}

std::shared_ptr<const Tokenizer> train_char_tokenizer(const std::vector<std::filesystem::path>& files,
                                                      const std::string& separator, const Progress& progress) {
  CharacterSet set;
  TextOptions options;
  options.separator = separator;
  options.progress = progress;
  options.split_point = whole_characters;
  read_documents(files, options, [&](std::string_view piece, bool) { set.add(piece); });
  std::vector<char32_t> characters = set.characters();
  if (characters.empty()) {
    throw DataError(fmt::format("{}: there is no text, so the vocabulary would have no characters",
                                files.empty() ? "no file" : files[0].string()));
  }
  return std::make_shared<CharTokenizer>(std::move(characters));
}

}  // namespace terse::data
