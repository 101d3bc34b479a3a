// Reads the vocabulary, the merges, the added tokens, and where a text begins and ends.
#include "data/tokenizers/hf/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <unordered_map>

#include "base/formats/tensor_shape.h"
#include "data/tokenizers/bpe/byte_level.h"
#include "data/tokenizers/hf/json_member.h"
#include "data/tokenizers/hf/json_place.h"
#include "data/tokenizers/hf/split_steps_json.h"

namespace terse::data {

namespace {

using nlohmann::json;

constexpr int64_t kMaxId = (1 << 22) - 1;
constexpr size_t kMaxAdded = 1 << 16;
constexpr size_t kMaxAddedBytes = 1024;     // of a content
constexpr size_t kMaxAddedTotal = 1 << 20;  // of all contents, which take about 64 times this in memory
constexpr int64_t kMaxUnused = 1024;        // ids without a token, beside as many as there are tokens

class Reader {
 public:
  explicit Reader(const json& document) : document_(document), model_(document_.at("model")) {}

  BpeDefinition run(std::string text) {
    if (const auto version = document_.find("version"); version && version->string() != "1.0") {
      version->refuse(fmt::format("found version {}, expected 1.0", version->string()));
    }
    if (const auto type = model_.find("type"); type && type->string() != "BPE") {
      type->refuse(fmt::format("the model {} is not supported; known: BPE", type->string()));
    }
    read_options();
    read_vocabulary();
    read_added_tokens();
    fill_tokens();
    read_merges();
    require_text_without_special_tokens();
    Preparation preparation = read_preparation(document_);
    result_.nfc = preparation.nfc;
    result_.steps = std::move(preparation.steps);
    result_.rules = std::move(preparation.rules);
    read_decoder();
    if (const auto processor = document_.find("post_processor")) read_post_processor(*processor);
    if (const auto ends = model_.find("terse")) read_ends(*ends);
    result_.text = std::move(text);
    return std::move(result_);
  }

 private:
  void read_options() {
    if (const auto dropout = model_.find("dropout"); dropout && dropout->value() != 0) {
      dropout->refuse("dropout of merges is not supported, because it makes the ids random");
    }
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const auto affix = model_.find(key);
      if (affix && !affix->string().empty()) affix->refuse("this is not supported in byte-level tokenizers");
    }
    if (model_.boolean("byte_fallback", false)) {
      model_.at("byte_fallback").refuse("byte fallback is not supported; only byte-level tokenizers are");
    }
    result_.vocabulary.ignore_merges = model_.boolean("ignore_merges", false);
    result_.vocabulary.fuse_unknown = model_.boolean("fuse_unk", false);
  }

  void read_vocabulary() {
    const JsonPlace place = model_.at("vocab");
    if (!place.value().is_object()) place.refuse("expected an object of tokens and ids");
    for (const auto& [token, id] : place.value().items()) {
      const JsonPlace entry(id, fmt::format("model.vocab[{}]", quote(token)));
      claim(entry, static_cast<int32_t>(entry.integer(0, kMaxId)), token);
    }
    if (ids_.empty()) place.refuse("there are no tokens");
  }

  // Notes that a token has an id.
  void claim(const JsonPlace& place, int32_t id, const std::string& token) {
    const auto [other, is_new] = owner_.emplace(id, token);
    if (!is_new) place.refuse(fmt::format("the id {} is that of {}, too", id, quote(other->second)));
    ids_.emplace(token, id);
  }

  void read_added_tokens() {
    const auto list = document_.find("added_tokens");
    if (!list) return;
    if (list->array_size() > kMaxAdded) list->refuse(fmt::format("there are more than {} added tokens", kMaxAdded));
    std::unordered_map<std::string, size_t> seen;
    size_t total = 0;
    for (size_t i = 0; i < list->array_size(); ++i) {
      const JsonPlace place = list->at(i);
      AddedToken token;
      token.id = static_cast<int32_t>(place.at("id").integer(0, kMaxId));
      token.content = place.at("content").string();
      token.special = place.boolean("special", false);
      token.normalized = place.boolean("normalized", !token.special);
      token.lstrip = place.boolean("lstrip", false);
      token.rstrip = place.boolean("rstrip", false);
      token.single_word = place.boolean("single_word", false);
      if (token.content.empty() || token.content.size() > kMaxAddedBytes) {
        place.at("content").refuse(
            fmt::format("found {} bytes, expected 1 to {}", token.content.size(), kMaxAddedBytes));
      }
      total += token.content.size();
      if (total > kMaxAddedTotal) {
        list->refuse(fmt::format("the contents have more than {} bytes together", kMaxAddedTotal));
      }
      const auto [first, is_new] = seen.emplace(token.content, i);
      if (!is_new)
        place.at("content").refuse(fmt::format("this is the content of added_tokens[{}], too", first->second));
      const auto known = ids_.find(token.content);
      if (known == ids_.end()) {
        claim(place.at("id"), token.id, token.content);
      } else if (known->second != token.id) {
        place.at("id").refuse(fmt::format("found {}, but model.vocab has the id {} for {}", token.id, known->second,
                                          quote(token.content)));
      }
      result_.added.push_back(std::move(token));
    }
  }

  void fill_tokens() {
    int32_t last = 0;
    for (const auto& [id, token] : owner_) last = std::max(last, id);
    const auto count = static_cast<int64_t>(owner_.size());
    if (last >= 2 * count + kMaxUnused) {
      throw std::invalid_argument(fmt::format(
          "model.vocab: {} tokens have ids up to {}, which leaves too many ids without a token", count, last));
    }
    std::vector<BpeVocabulary::Token>& tokens = result_.vocabulary.tokens;
    tokens.resize(static_cast<size_t>(last) + 1);
    for (const auto& [id, token] : owner_) {
      const std::optional<std::string> bytes = from_byte_characters(token);
      tokens[static_cast<size_t>(id)] = {bytes.value_or(token), bytes.has_value()};
    }
    for (const AddedToken& added : result_.added) {
      BpeVocabulary::Token& token = tokens[static_cast<size_t>(added.id)];
      // An added token stands for its content as it is, and text becomes this token only where it is found as such.
      token = {added.content, !added.special && token.in_text && token.bytes == added.content};
    }
    if (const auto unknown = model_.find("unk_token")) result_.vocabulary.unknown = id_of(*unknown, unknown->string());
  }

  int32_t id_of(const JsonPlace& place, const std::string& token) const {
    const auto found = ids_.find(token);
    if (found == ids_.end()) place.refuse(fmt::format("{} is not in model.vocab", quote(token)));
    return found->second;
  }

  void read_merges() {
    const JsonPlace place = model_.at("merges");
    const size_t count = place.array_size();
    result_.vocabulary.merges.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      const json& entry = place.value()[i];
      std::string left, right;
      if (entry.is_string()) {
        const std::string& text = entry.get_ref<const std::string&>();
        const size_t space = text.find(' ');
        if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
          place.at(i).refuse(fmt::format("found {}, expected two tokens with a space between them", quote(text)));
        }
        left = text.substr(0, space);
        right = text.substr(space + 1);
      } else if (place.at(i).array_size() == 2) {
        left = place.at(i).at(size_t{0}).string();
        right = place.at(i).at(1).string();
      } else {
        place.at(i).refuse(fmt::format("found {} values, expected two tokens", entry.size()));
      }
      result_.vocabulary.merges.push_back(merge_of(place, i, left, right));
    }
  }

  Merge merge_of(const JsonPlace& place, size_t i, const std::string& left, const std::string& right) const {
    const auto find = [&](const std::string& token) {
      const auto found = ids_.find(token);
      if (found == ids_.end()) place.at(i).refuse(fmt::format("the token {} is not in model.vocab", quote(token)));
      return found->second;
    };
    return {find(left), find(right), find(left + right)};
  }

  // encode() of plain text consists of the tokens of bytes, of what merges make, and of the unknown token.
  void require_text_without_special_tokens() {
    std::unordered_map<int32_t, size_t> special;
    for (size_t i = 0; i < result_.added.size(); ++i) {
      if (result_.added[i].special) special.emplace(result_.added[i].id, i);
    }
    for (size_t i = 0; i < result_.vocabulary.merges.size(); ++i) {
      const auto found = special.find(result_.vocabulary.merges[i].merged);
      if (found == special.end()) continue;
      throw std::invalid_argument(
          fmt::format("model.merges[{}]: the merge makes the special token of added_tokens[{}], {}", i, found->second,
                      quote(result_.added[found->second].content)));
    }
    // A byte without a token is then an error, which is better than a text that ends in its middle.
    if (result_.vocabulary.unknown && special.contains(*result_.vocabulary.unknown)) result_.vocabulary.unknown.reset();
    for (const auto& [id, index] : special) {
      const std::string& content = result_.added[index].content;
      if (const auto bytes = from_byte_characters(content); !bytes || bytes->size() != 1) continue;
      throw std::invalid_argument(
          fmt::format("added_tokens[{}]: the special token {} is the token of a byte", index, quote(content)));
    }
  }

  void read_decoder() const {
    const auto decoder = document_.find("decoder");
    if (!decoder) throw std::invalid_argument("decoder is missing, expected ByteLevel");
    const std::string& type = decoder->at("type").string();
    if (type == "ByteLevel") return;
    if (type == "Sequence" && decoder->at("decoders").array_size() == 1 &&
        decoder->at("decoders").at(size_t{0}).at("type").string() == "ByteLevel") {
      return;
    }
    decoder->at("type").refuse(fmt::format("the decoder {} is not supported; known: ByteLevel", type));
  }

  void read_post_processor(const JsonPlace& place) {
    const std::string& type = place.at("type").string();
    if (type == "ByteLevel") return;  // only moves offsets, which nothing here has
    if (type == "Sequence") {
      const JsonPlace list = place.at("processors");
      for (size_t i = 0; i < list.array_size(); ++i) read_post_processor(list.at(i));
    } else if (type == "TemplateProcessing") {
      read_template(place);
    } else {
      place.at("type").refuse(
          fmt::format("the post-processor {} is not supported; known: ByteLevel, TemplateProcessing, Sequence", type));
    }
  }

  // "single" says what stands before and after a text, for example [{"SpecialToken": {"id": "<s>"}}, {"Sequence":
  // ...}].
  void read_template(const JsonPlace& place) {
    const JsonPlace list = place.at("single");
    std::vector<int32_t> before, after;
    bool text = false;
    for (size_t i = 0; i < list.array_size(); ++i) {
      const JsonPlace entry = list.at(i);
      if (entry.find("Sequence")) {
        if (text) entry.refuse("the text occurs twice");
        text = true;
        continue;
      }
      const JsonPlace name = entry.at("SpecialToken").at("id");
      (text ? after : before).push_back(id_of(name, name.string()));
    }
    if (!text) list.refuse("the text does not occur");
    if (before.size() > 1 || after.size() > 1)
      list.refuse("more than one token before or after the text is not supported");
    result_.adds_bos = !before.empty();
    result_.adds_eos = !after.empty();
    if (result_.adds_bos) result_.bos = before[0];
    if (result_.adds_eos) result_.eos = after;
  }

  void read_ends(const JsonPlace& place) {
    const auto last = static_cast<int64_t>(result_.vocabulary.tokens.size()) - 1;
    result_.bos = static_cast<int32_t>(place.at("bos").integer(-1, last));
    const JsonPlace list = place.at("eos");
    if (list.array_size() > kMaxEnds) list.refuse(fmt::format("there are more than {} ids", kMaxEnds));
    result_.eos.clear();
    for (size_t i = 0; i < list.array_size(); ++i) {
      const auto id = static_cast<int32_t>(list.at(i).integer(0, last));
      if (std::find(result_.eos.begin(), result_.eos.end(), id) != result_.eos.end())
        list.at(i).refuse("this id occurs twice");
      result_.eos.push_back(id);
    }
  }

  JsonPlace document_;
  JsonPlace model_;
  BpeDefinition result_;
  std::unordered_map<std::string, int32_t> ids_;    // of the tokens as the file spells them
  std::unordered_map<int32_t, std::string> owner_;  // the reverse
};

}  // namespace

bool is_tokenizer_json(const json& document) {
  return document.is_object() && document.contains("model");
}

BpeDefinition read_tokenizer_json(const json& document, std::string text) {
  return Reader(document).run(std::move(text));
}

std::string with_text_ends(const std::string& text, const TextEnds& ends) {
  return with_member(text, {"model", "terse"}, json{{"bos", ends.bos}, {"eos", ends.eos}}.dump());
}

}  // namespace terse::data
