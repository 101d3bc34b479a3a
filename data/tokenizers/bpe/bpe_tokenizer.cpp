// Finds added tokens, separates what is not UTF-8, normalizes, cuts into pieces, and merges.
#include "data/tokenizers/bpe/bpe_tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/sha256.h"
#include "base/utf8.h"
#include "data/tokenizers/split/normalizer.h"

namespace terse::data {

namespace {

std::vector<AddedToken> having(const std::vector<AddedToken>& tokens, bool normalized) {
  std::vector<AddedToken> result;
  std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(result),
               [&](const AddedToken& token) { return token.normalized == normalized; });
  return result;
}

// Hashes all that decides between text and ids, but neither bos nor eos.
std::string hash_of(const BpeDefinition& definition) {
  Sha256 hash;
  const auto add = [&](std::string_view text) {
    hash.update(fmt::format("{}:", text.size()));
    hash.update(text);
  };
  for (const BpeVocabulary::Token& token : definition.vocabulary.tokens) add(token.bytes + (token.in_text ? "t" : "-"));
  hash.update("merges");
  for (const Merge& merge : definition.vocabulary.merges) {
    hash.update(fmt::format("{} {} {},", merge.left, merge.right, merge.merged));
  }
  for (const AddedToken& token : definition.added) {
    add(token.content);
    hash.update(fmt::format("{} {:d}{:d}{:d}{:d}{:d}", token.id, token.special, token.normalized, token.lstrip,
                            token.rstrip, token.single_word));
  }
  add(definition.rules);
  hash.update(fmt::format("{:d} {} {:d}", definition.vocabulary.ignore_merges,
                          definition.vocabulary.unknown.value_or(-1), definition.vocabulary.fuse_unknown));
  return hash.hex();
}

// Returns the end of the bytes from `begin` on that are not UTF-8.
size_t invalid_end(std::string_view text, size_t begin) {
  size_t end = begin;
  while (end < text.size() && first_code_point(text.substr(end)).length == 0) ++end;
  return end;
}

// A part of a text in which a boundary may lie: no ordinary added token overlaps it, and none of its bytes changes what
// is before it. `hidden` are the special tokens in the text, which encode() passes over as a whole.
struct Tail {
  size_t begin = 0;
  std::vector<AddedTokens::Match> hidden;
};

// Narrows the part [tail.begin, end) of a text to what follows the last ordinary token that begins in it.
void narrow(Tail& tail, const AddedTokens& tokens, std::string_view text, size_t end) {
  if (tokens.empty()) return;
  for (size_t from = tail.begin; from < end;) {
    const AddedTokens::Match match = tokens.find(text, from);
    if (match.token == nullptr || match.begin >= end) break;
    from = match.end;
    if (match.token->special) {
      tail.hidden.push_back(match);
    } else {
      tail.begin = match.end;
    }
  }
}

// Whether one of the spans, which are ascending and disjoint, contains [begin, end).
bool inside_one(const std::vector<Span>& spans, size_t begin, size_t end) {
  const auto after =
      std::upper_bound(spans.begin(), spans.end(), begin, [](size_t at, const Span& span) { return at < span.begin; });
  return after != spans.begin() && end <= std::prev(after)->end;
}

bool is_hidden(const std::vector<AddedTokens::Match>& hidden, size_t at) {
  return std::any_of(hidden.begin(), hidden.end(), [&](const auto& m) { return m.begin < at && at < m.end; });
}

}  // namespace

// One call of encode() or encode_template().
class BpeTokenizer::Encoding {
 public:
  // `spans`: where the text may contain special and other added tokens; null: everywhere, but no special ones.
  Encoding(const BpeTokenizer& tokenizer, std::string_view whole, const std::span<const Span>* spans)
      : tokenizer_(tokenizer), whole_(whole), spans_(spans) {
    ids_.reserve(whole.size() / 3);
  }

  std::vector<int32_t> run() {
    std::vector<Span> spans;
    if (spans_ != nullptr) spans.assign(spans_->begin(), spans_->end());
    find(tokenizer_.raw_, whole_, spans, [&](std::string_view part) { encode_bytes(part); });
    return std::move(ids_);
  }

 private:
  // Adds the ids of the tokens in a text, and calls `on_text` with what lies between them. `spans` are those of the
  // text.
  void find(const AddedTokens& tokens, std::string_view text, const std::vector<Span>& spans,
            const std::function<void(std::string_view)>& on_text) {
    const auto on_token = [&](int32_t id) { ids_.push_back(id); };
    if (spans_ == nullptr) return tokens.split(text, on_text, on_token);
    const auto accept = [&](const AddedTokens::Match& match) { return inside_one(spans, match.begin, match.end); };
    tokens.split(text, accept, on_text, on_token);
  }

  // Returns the spans in a part of the whole text that `text` is the normal form of. Where normalization joins
  // characters across the end of a span, there are none: no text of a user may become a token then.
  std::vector<Span> spans_in(std::string_view part, std::string_view text) const {
    if (spans_ == nullptr) return {};
    const auto begin = static_cast<size_t>(offset_of(part)), end = begin + part.size();
    std::vector<Span> result;
    std::string joined;  // the normal forms of the spans and of what lies between them
    size_t done = begin;
    const auto add = [&](size_t to) {
      const std::string_view piece = whole_.substr(done, to - done);
      joined += text.data() == part.data() ? std::string(piece) : normalize_nfc(piece);
      done = to;
    };
    for (const Span& span : *spans_) {
      if (span.end <= begin || span.begin >= end) continue;
      add(std::max(span.begin, begin));
      const size_t from = joined.size();
      add(std::min(span.end, end));
      result.push_back({from, joined.size()});
    }
    add(end);
    return joined == text ? result : std::vector<Span>();
  }

  void encode_bytes(std::string_view part) {
    while (!part.empty()) {
      const size_t valid = std::min(find_invalid_utf8(part), part.size());
      if (valid > 0) encode_utf8(part.substr(0, valid));
      const size_t end = invalid_end(part, valid);
      if (end > valid) encode_piece(part.substr(valid, end - valid));
      part.remove_prefix(end);
    }
  }

  void encode_utf8(std::string_view text) {
    part_ = text;
    std::string normalized;
    if (tokenizer_.nfc_ && simple_end(text) > 0) text = normalized = normalize_nfc(text);
    const std::function<void(std::string_view)> use = [&](std::string_view piece) { encode_piece(piece); };
    try {
      const std::vector<Span> spans = tokenizer_.normalized_.empty() ? std::vector<Span>() : spans_in(part_, text);
      find(tokenizer_.normalized_, text, spans,
           [&](std::string_view words) { tokenizer_.pre_tokenizer_.split(words, use); });
    } catch (const PatternError& error) {
      throw EncodeError(error.what(), whole_, offset_of(part_));
    }
  }

  void encode_piece(std::string_view piece) {
    const size_t missing = tokenizer_.model_.encode(piece, ids_);
    if (missing == std::string_view::npos) return;
    // A normalized piece is not part of the text that was given.
    const size_t at = is_within(piece) ? static_cast<size_t>(offset_of(piece)) + missing
                                       : whole_.find(piece[missing], static_cast<size_t>(offset_of(part_)));
    throw EncodeError(
        fmt::format("byte 0x{:02X} has no token in {}", static_cast<uint8_t>(piece[missing]), tokenizer_.id_), whole_,
        static_cast<int64_t>(std::min(at, whole_.size())));
  }

  bool is_within(std::string_view piece) const {
    const std::less_equal<> before;
    return before(whole_.data(), piece.data()) && before(piece.data() + piece.size(), whole_.data() + whole_.size());
  }
  int64_t offset_of(std::string_view part) const { return part.data() - whole_.data(); }

  const BpeTokenizer& tokenizer_;
  std::string_view whole_;
  const std::span<const Span>* spans_;
  std::string_view part_;  // of whole_, which is being encoded
  std::vector<int32_t> ids_;
};

BpeTokenizer::BpeTokenizer(BpeDefinition definition)
    : special_(definition.vocabulary.tokens.size()),
      model_(definition.vocabulary),
      raw_(having(definition.added, false)),
      nfc_(definition.nfc),
      pre_tokenizer_(std::move(definition.steps)),
      bos_(definition.bos),
      eos_(std::move(definition.eos)),
      adds_bos_(definition.adds_bos),
      adds_eos_(definition.adds_eos),
      text_(std::move(definition.text)),
      id_("bpe:" + hash_of(definition).substr(0, 16)) {
  std::vector<AddedToken> normalized = having(definition.added, true);
  for (AddedToken& token : normalized) {
    if (nfc_) token.content = normalize_nfc(token.content);
  }
  normalized_ = AddedTokens(std::move(normalized));
  for (const AddedToken& token : definition.added) special_[static_cast<size_t>(token.id)] = token.special;
  for (BpeVocabulary::Token& token : definition.vocabulary.tokens) tokens_.push_back(std::move(token.bytes));
}

std::vector<int32_t> BpeTokenizer::encode(std::string_view text) const {
  return Encoding(*this, text, nullptr).run();
}

std::vector<int32_t> BpeTokenizer::encode_template(std::string_view text, std::span<const Span> special_allowed) const {
  return Encoding(*this, text, &special_allowed).run();
}

std::string BpeTokenizer::decode(const std::vector<int32_t>& ids) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id < 0 || id >= vocab_size()) {
      throw std::out_of_range(fmt::format("token id {} is outside the vocabulary of {} ({})", id, vocab_size(), id_));
    }
    text += tokens_[static_cast<size_t>(id)];
  }
  return text;
}

bool BpeTokenizer::is_special(int32_t id) const {
  return id >= 0 && id < vocab_size() && special_[static_cast<size_t>(id)];
}

// A boundary keeps its distance from the end, where an added token may have begun. Normalized text is searched where it
// is the text as given: from the last character on that normalization may change.
size_t BpeTokenizer::split_point(std::string_view text) const {
  if (raw_.look_around() || normalized_.look_around()) return 0;
  const size_t longest = std::max<size_t>({raw_.longest(), normalized_.longest(), 1});
  const size_t whole = whole_characters(text);
  const size_t end = whole_characters(text.substr(0, whole - std::min(whole, longest - 1)));
  Tail raw;
  narrow(raw, raw_, text, end);
  size_t best = raw.begin;
  for (size_t at = raw.begin; at < end;) {
    const size_t bad = find_invalid_utf8(text.substr(at, end - at));
    if (bad == std::string_view::npos) break;
    at = invalid_end(text.substr(0, end), at + bad);
    raw.begin = at;
    if (at < end) best = at;
  }
  if (raw.begin >= end) return best;
  const size_t simple = nfc_ ? raw.begin + simple_end(text.substr(raw.begin, end - raw.begin)) : raw.begin;
  const std::string head = normalize_nfc(text.substr(raw.begin, simple - raw.begin));
  const std::string tail_text = head + std::string(text.substr(simple, end - simple));
  Tail tail;
  narrow(tail, normalized_, tail_text + std::string(text.substr(end)), tail_text.size());
  const auto in_text = [&](size_t at) { return at - head.size() + simple; };
  const auto good = [&](size_t at) {
    return at >= head.size() && !is_hidden(tail.hidden, at) && !is_hidden(raw.hidden, in_text(at));
  };
  if (tail.begin >= tail_text.size()) return best;
  if (tail.begin > 0 && good(tail.begin)) best = in_text(tail.begin);
  try {
    const size_t found = pre_tokenizer_.last_boundary(std::string_view(tail_text).substr(tail.begin),
                                                      [&](size_t at) { return good(tail.begin + at); });
    return found > 0 ? in_text(tail.begin + found) : best;
  } catch (const PatternError&) {  // encode() reports it
    return best;
  }
}

}  // namespace terse::data
