// Reads the tokens as the file spells them, because a GGUF file spells them alike. A way to cut text is recognised by
// its rules, in which equal patterns are equal texts.
#include "data/tokenizers/hf/write_gguf_vocabulary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/utf8.h"
#include "data/tokenizers/hf/gguf_pre.h"
#include "data/tokenizers/hf/json_place.h"
#include "data/tokenizers/hf/split_steps_json.h"

namespace terse::data {

namespace {

using nlohmann::json;

constexpr std::string_view kNfc = "NFC;";  // how the rules of a tokenizer with the normalizer begin

std::string rules_of(const json& document) {
  return read_preparation(JsonPlace(document)).rules;
}

std::string_view without_nfc(std::string_view rules) {
  if (rules.starts_with(kNfc)) rules.remove_prefix(kNfc.size());
  return rules;
}

// The patterns of the steps, for a message.
std::string patterns_of(const json& document) {
  std::vector<std::string> found;
  const auto visit = [&](const auto& self, const json& value) -> void {
    if (value.is_object() && value.contains("pattern")) found.push_back(value["pattern"].dump());
    if (value.is_structured()) {
      for (const json& child : value) self(self, child);
    }
  };
  visit(visit, document.value("pre_tokenizer", json()));
  if (found.empty()) found.push_back(document.value("pre_tokenizer", json()).dump());
  return fmt::format("{}", fmt::join(found, ", "));
}

class Writer {
 public:
  Writer(const Tokenizer& tokenizer, int64_t vocab_size, const std::string& origin)
      : tokenizer_(tokenizer),
        vocab_size_(vocab_size),
        origin_(origin),
        document_(parse_json_strictly(tokenizer.definition())) {}

  WrittenGgufVocabulary run() {
    result_.vocabulary.model = "gpt2";
    result_.vocabulary.pre = find_pre().names.front();
    write_tokens();
    write_added_tokens();
    write_merges();
    write_ends();
    return std::move(result_);
  }

 private:
  const GgufPre& find_pre() {
    const std::string rules = rules_of(document_);
    const bool ignore_merges = document_["model"].value("ignore_merges", false);
    const GgufPre* same_pattern = nullptr;
    for (const GgufPre& pre : gguf_pres()) {
      const std::string theirs = rules_of(json::parse(write_preparation(pre.cutting)));
      if (without_nfc(theirs) != without_nfc(rules)) continue;
      same_pattern = &pre;
      if (pre.ignore_merges != ignore_merges) continue;
      if (theirs != rules) {
        result_.notes.push_back(
            fmt::format("a GGUF file does not tell whether the tokenizer normalizes text: this one {}",
                        rules.starts_with(kNfc) ? "does (NFC)" : "does not"));
      }
      return pre;
    }
    if (same_pattern != nullptr) {
      throw DataError(
          fmt::format("{}: its tokenizer cuts text as {} does, but \"ignore_merges\" is {} there and {} here; "
                      "tokenizer.ggml.pre has no word for that",
                      origin_, same_pattern->names.front(), same_pattern->ignore_merges, ignore_merges));
    }
    throw DataError(
        fmt::format("{}: its tokenizer cuts text by {}, for which tokenizer.ggml.pre has no word that terse knows",
                    origin_, patterns_of(document_)));
  }

  void write_tokens() {
    GgufVocabulary& vocabulary = result_.vocabulary;
    if (tokenizer_.vocab_size() > vocab_size_) {
      throw DataError(fmt::format("{}: its tokenizer has {} tokens, but the model knows {}", origin_,
                                  tokenizer_.vocab_size(), vocab_size_));
    }
    vocabulary.tokens.resize(static_cast<size_t>(vocab_size_));
    vocabulary.token_types.assign(static_cast<size_t>(vocab_size_), kGgufUnused);
    for (const auto& [token, id] : document_["model"]["vocab"].items()) put(id, token, kGgufNormal);
  }

  void put(const json& id, const std::string& token, int32_t type) {
    const auto index = id.get<size_t>();
    result_.vocabulary.tokens[index] = token;
    result_.vocabulary.token_types[index] = type;
  }

  void write_added_tokens() {
    std::vector<std::string> with_space;
    for (const json& token : document_.value("added_tokens", json::array())) {
      const std::string content = token.at("content");
      put(token.at("id"), content, token.value("special", false) ? kGgufControl : kGgufUserDefined);
      for (const char* flag : {"lstrip", "rstrip", "single_word"}) {
        if (!token.value(flag, false)) continue;
        with_space.push_back(printable(content));
        break;
      }
    }
    std::vector<std::string>& tokens = result_.vocabulary.tokens;
    for (size_t id = 0; id < tokens.size(); ++id)
      if (result_.vocabulary.token_types[id] == kGgufUnused) tokens[id] = fmt::format("[PAD{}]", id);
    if (with_space.empty()) return;
    result_.notes.push_back(fmt::format("a GGUF file does not tell that these tokens look at the text beside them: {}",
                                        fmt::join(with_space, ", ")));
  }

  void write_merges() {
    for (const json& merge : document_["model"]["merges"]) {
      result_.vocabulary.merges.push_back(merge.is_string()
                                              ? merge.get<std::string>()
                                              : merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    }
  }

  void write_ends() {
    GgufVocabulary& vocabulary = result_.vocabulary;
    const std::vector<int32_t> ends = tokenizer_.eos_ids();
    if (tokenizer_.bos() >= 0) vocabulary.bos = tokenizer_.bos();
    if (!ends.empty()) vocabulary.eos = ends[0];
    if (ends.size() > 1) vocabulary.eot = ends[1];
    vocabulary.add_bos = tokenizer_.adds_bos();
    vocabulary.add_eos = tokenizer_.adds_eos();
    for (size_t i = 2; i < ends.size(); ++i) {
      result_.notes.push_back(fmt::format("a GGUF file tells two tokens that end a response; {} is left out, {}",
                                          ends[i], printable(vocabulary.tokens[static_cast<size_t>(ends[i])])));
    }
  }

  const Tokenizer& tokenizer_;
  int64_t vocab_size_;
  const std::string& origin_;
  json document_;
  WrittenGgufVocabulary result_;
};

}  // namespace

bool is_bpe(const Tokenizer& tokenizer) {
  return tokenizer.id().starts_with("bpe:");
}

WrittenGgufVocabulary gguf_vocabulary_of(const Tokenizer& tokenizer, int64_t vocab_size, const std::string& origin) {
  return Writer(tokenizer, vocab_size, origin).run();
}

}  // namespace terse::data
