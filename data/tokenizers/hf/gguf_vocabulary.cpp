// Builds the document that the `tokenizers` library would have been given.
#include "data/tokenizers/hf/gguf_vocabulary.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_set>

#include "base/errors.h"
#include "base/formats/tensor_shape.h"
#include "base/utf8.h"
#include "data/tokenizers/hf/gguf_pre.h"
#include "data/tokenizers/hf/write_tokenizer_json.h"

namespace terse::data {

namespace {

constexpr size_t kMaxTokens = 1 << 22;
class Converter {
 public:
  Converter(const GgufVocabulary& given, const std::string& origin) : given_(given), origin_(origin) {}

  std::string run() {
    if (given_.model != "gpt2") {
      fail("model", fmt::format("found {}, expected \"gpt2\" (byte-level BPE)", quote(given_.model)));
    }
    const GgufPre& meaning = find_meaning();
    read_tokens();
    read_merges();
    result_.cutting = meaning.cutting;
    result_.ignore_merges = meaning.ignore_merges;
    result_.bos = id("bos_token_id", given_.bos);
    for (const int32_t end : {id("eos_token_id", given_.eos), id("eot_token_id", given_.eot)}) {
      const bool known = std::find(result_.eos.begin(), result_.eos.end(), end) != result_.eos.end();
      if (end >= 0 && !known) result_.eos.push_back(end);
    }
    result_.adds_bos = given_.add_bos.value_or(meaning.add_bos) && result_.bos >= 0;
    result_.adds_eos = given_.add_eos.value_or(false) && !result_.eos.empty();
    if (result_.adds_bos) require_added("add_bos_token", result_.bos);
    if (result_.adds_eos) require_added("add_eos_token", result_.eos[0]);
    return write_tokenizer_json(result_);
  }

 private:
  [[noreturn]] void fail(const std::string& key, const std::string& why) const {
    throw DataError(fmt::format("{}: tokenizer.ggml.{}: {}", origin_, key, why));
  }

  const GgufPre& find_meaning() const {
    std::vector<std::string> known;
    for (const GgufPre& meaning : gguf_pres()) {
      if (std::find(meaning.names.begin(), meaning.names.end(), given_.pre) != meaning.names.end()) return meaning;
      known.insert(known.end(), meaning.names.begin(), meaning.names.end());
    }
    fail("pre", fmt::format("{} is not supported; known: {}", quote(given_.pre), fmt::join(known, ", ")));
  }

  void read_tokens() {
    const size_t count = given_.tokens.size();
    if (count == 0 || count > kMaxTokens)
      fail("tokens", fmt::format("found {} tokens, expected 1 to {}", count, kMaxTokens));
    if (!given_.token_types.empty() && given_.token_types.size() != count) {
      fail("token_type", fmt::format("found {} types for {} tokens", given_.token_types.size(), count));
    }
    std::unordered_set<std::string_view> seen;
    for (size_t i = 0; i < count; ++i) {
      const std::string& token = given_.tokens[i];
      const int32_t type = given_.token_types.empty() ? 1 : given_.token_types[i];
      if (find_invalid_utf8(token) != std::string_view::npos) fail(fmt::format("tokens[{}]", i), "it is not UTF-8");
      if (type < 0 || type > 6) fail(fmt::format("token_type[{}]", i), fmt::format("found {}, expected 0 to 6", type));
      // An unused token fills the vocabulary up to the size of the model. No text becomes it.
      if (type == kGgufUnused || token.empty()) {
        result_.tokens.emplace_back();
        continue;
      }
      if (!seen.insert(token).second) {
        fail(fmt::format("tokens[{}]", i), fmt::format("{} occurs twice", quote(token)));
      }
      result_.tokens.push_back(token);
      if (type != kGgufControl && type != kGgufUserDefined && type != kGgufUnknown) continue;
      AddedToken added;
      added.id = static_cast<int32_t>(i);
      added.content = token;
      added.special = type != kGgufUserDefined;
      added.normalized = false;
      result_.added.push_back(std::move(added));
    }
  }

  void read_merges() {
    for (size_t i = 0; i < given_.merges.size(); ++i) {
      const std::string& merge = given_.merges[i];
      const size_t space = merge.find(' ');
      if (space == std::string::npos || space == 0 || merge.find(' ', space + 1) != std::string::npos ||
          space + 1 == merge.size() || find_invalid_utf8(merge) != std::string_view::npos) {
        fail(fmt::format("merges[{}]", i),
             fmt::format("found {}, expected two tokens with a space between them", quote(merge)));
      }
      result_.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
    }
  }

  int32_t id(const char* key, const std::optional<int64_t>& value) const {
    if (!value) return -1;
    const auto count = static_cast<int64_t>(result_.tokens.size());
    if (*value < 0 || *value >= count || result_.tokens[static_cast<size_t>(*value)].empty()) {
      fail(key, fmt::format("found {}, expected one of the {} tokens", *value, count));
    }
    return static_cast<int32_t>(*value);
  }

  void require_added(const char* key, int32_t token) const {
    const bool found = std::any_of(result_.added.begin(), result_.added.end(),
                                   [&](const AddedToken& added) { return added.id == token; });
    if (!found) fail(key, fmt::format("token {} begins or ends a text, but its type is not control", token));
  }

  const GgufVocabulary& given_;
  const std::string& origin_;
  WrittenTokenizer result_;
};

}  // namespace

std::string tokenizer_json_of(const GgufVocabulary& vocabulary, const std::string& origin) {
  return Converter(vocabulary, origin).run();
}

}  // namespace terse::data
