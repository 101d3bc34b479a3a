// Takes a missing file as empty, and refuses a name or an id that is not in the vocabulary.
#include "data/tokenizers/hf/hf_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/formats/tensor_shape.h"
#include "base/text/message_text.h"
#include "data/tokenizers/definition_file.h"
#include "data/tokenizers/hf/json_place.h"
#include "data/tokenizers/hf/tokenizer_json.h"

namespace terse::data {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Calls `use` with the document of a file, or with an empty object where there is no such file.
template <typename Use>
auto with_document(const fs::path& path, const Use& use) {
  std::error_code ignored;
  try {
    const bool exists = fs::exists(path, ignored);
    const std::string text = exists ? read_definition_file(path) : "{}";
    const json document = parse_json_strictly(text);
    return use(JsonPlace(document), text);
  } catch (const std::invalid_argument& error) {
    throw DataError(fmt::format("{}: {}", path.string(), message_text(error.what())));
  }
}

class Reader {
 public:
  explicit Reader(const fs::path& folder) : folder_(folder) {}

  std::shared_ptr<const Tokenizer> run() {
    const char* const kFile = "tokenizer.json";
    definition_ = with_document(folder_ / kFile, [](const JsonPlace& document, const std::string& text) {
      if (!is_tokenizer_json(document.value())) document.refuse("it has no \"model\", so it is not a tokenizer.json");
      return read_tokenizer_json(document.value(), text);
    });
    ends_ = {definition_.bos, definition_.eos};
    with_document(folder_ / "special_tokens_map.json",
                  [&](const JsonPlace& place, const std::string&) { names(place); });
    with_document(folder_ / "tokenizer_config.json", [&](const JsonPlace& place, const std::string&) { names(place); });
    for (const char* file : {"generation_config.json", "config.json"}) {
      const bool found =
          with_document(folder_ / file, [&](const JsonPlace& place, const std::string&) { return ids(place); });
      if (found) break;
    }
    // Where these files name no token, the post-processor of tokenizer.json still writes its own.
    if (ends_.bos < 0 && definition_.adds_bos) ends_.bos = definition_.bos;
    if (ends_.eos.empty() && definition_.adds_eos) ends_.eos = definition_.eos;
    require_one_bos();
    if (ends_.bos != definition_.bos || ends_.eos != definition_.eos) {
      definition_.text = with_text_ends(definition_.text, ends_);
      definition_.bos = ends_.bos;
      definition_.eos = ends_.eos;
    }
    return std::make_shared<BpeTokenizer>(std::move(definition_));
  }

 private:
  // A file that has the key decides, even if it says null. So the last file that is read counts.
  void names(const JsonPlace& document) {
    if (!document.value().is_object()) document.refuse("it is not an object");
    if (document.value().contains("bos_token")) ends_.bos = id_of(document.find("bos_token"));
    if (document.value().contains("eos_token")) {
      const int32_t id = id_of(document.find("eos_token"));
      ends_.eos = id < 0 ? std::vector<int32_t>{} : std::vector<int32_t>{id};
    }
  }

  int32_t id_of(const std::optional<JsonPlace>& place) const {
    if (!place) return -1;
    const JsonPlace name = place->value().is_object() ? place->at("content") : *place;
    const std::string& content = name.string();
    for (const AddedToken& token : definition_.added) {
      if (token.content == content) return token.id;
    }
    const std::vector<BpeVocabulary::Token>& tokens = definition_.vocabulary.tokens;
    const auto found = std::find_if(tokens.begin(), tokens.end(), [&](const BpeVocabulary::Token& token) {
      return token.in_text && token.bytes == content;
    });
    if (found == tokens.end()) name.refuse(fmt::format("tokenizer.json has no token {}", quote(content)));
    return static_cast<int32_t>(found - tokens.begin());
  }

  // Adds the ids of "eos_token_id". Returns whether there are any.
  bool ids(const JsonPlace& document) {
    const auto place = document.find("eos_token_id");
    if (!place) return false;
    const auto add = [&](const JsonPlace& id) {
      const auto last = static_cast<int64_t>(definition_.vocabulary.tokens.size()) - 1;
      const auto value = static_cast<int32_t>(id.integer(0, last));
      if (std::find(ends_.eos.begin(), ends_.eos.end(), value) == ends_.eos.end()) ends_.eos.push_back(value);
    };
    if (!place->value().is_array()) {
      add(*place);
      return true;
    }
    if (place->array_size() > kMaxEnds) place->refuse(fmt::format("there are more than {} ids", kMaxEnds));
    for (size_t i = 0; i < place->array_size(); ++i) add(place->at(i));
    return place->array_size() > 0;
  }

  // transformers begins a text with the token of the post-processor and gives a template the other one. Here both are
  // bos().
  void require_one_bos() const {
    if (!definition_.adds_bos || ends_.bos == definition_.bos) return;
    const auto name = [&](int32_t id) {
      for (const AddedToken& token : definition_.added) {
        if (token.id == id) return quote(token.content);
      }
      return fmt::format("token {}", id);
    };
    throw DataError(fmt::format(
        "{}: the post-processor of tokenizer.json begins a text with {}, but bos_token of tokenizer_config.json or "
        "special_tokens_map.json is {}; expected the same token",
        folder_.string(), name(definition_.bos), name(ends_.bos)));
  }

  fs::path folder_;
  BpeDefinition definition_;
  TextEnds ends_;
};

}  // namespace

bool is_hf_folder(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_directory(folder, ignored) && fs::is_regular_file(folder / "tokenizer.json", ignored);
}

std::shared_ptr<const Tokenizer> load_hf_tokenizer(const fs::path& folder) {
  return Reader(folder).run();
}

}  // namespace terse::data
