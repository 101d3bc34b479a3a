// Walks a trie from each position whose byte begins a token.
#include "data/tokenizers/bpe/added_tokens.h"

#include <algorithm>

#include "base/utf8.h"
#include "data/tokenizers/split/unicode_tables.h"

namespace terse::data {

namespace {

// Returns the start of the character before `at`, which is above 0.
size_t before(std::string_view text, size_t at) {
  size_t begin = at - 1;
  while (begin > 0 && at - begin < 4 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  return begin;
}

bool is_word_before(std::string_view text, size_t at) {
  if (at == 0) return false;
  const size_t begin = before(text, at);
  return is_word_character(first_code_point(text.substr(begin, at - begin)).value);
}

bool is_word_after(std::string_view text, size_t at) {
  return at < text.size() && is_word_character(first_code_point(text.substr(at)).value);
}

size_t skip_white_space_back(std::string_view text, size_t at) {
  while (at > 0) {
    const size_t begin = before(text, at);
    if (!is_white_space(first_code_point(text.substr(begin, at - begin)).value)) break;
    at = begin;
  }
  return at;
}

size_t skip_white_space(std::string_view text, size_t at) {
  while (at < text.size()) {
    const CodePoint point = first_code_point(text.substr(at));
    if (point.length == 0 || !is_white_space(point.value)) break;
    at += static_cast<size_t>(point.length);
  }
  return at;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)), token_{-1} {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    int32_t node = 0;
    for (const char byte : tokens_[i].content) {
      const auto [child, is_new] = children_.try_emplace({node, byte}, static_cast<int32_t>(token_.size()));
      if (is_new) token_.push_back(-1);
      if (node == 0) first_[static_cast<uint8_t>(byte)] = child->second;
      node = child->second;
    }
    token_[static_cast<size_t>(node)] = static_cast<int32_t>(i);
    longest_ = std::max(longest_, tokens_[i].content.size());
    look_around_ = look_around_ || tokens_[i].lstrip || tokens_[i].rstrip || tokens_[i].single_word;
  }
}

AddedTokens::Match AddedTokens::find(std::string_view text, size_t from, const Accept& accept) const {
  for (size_t at = from; at < text.size(); ++at) {
    int32_t node = first_[static_cast<uint8_t>(text[at])];
    if (node == 0) continue;
    Match best{at, at, nullptr};
    for (size_t end = at + 1; node > 0; ++end) {
      const int32_t token = token_[static_cast<size_t>(node)];
      if (token >= 0) {
        const Match match{at, end, &tokens_[static_cast<size_t>(token)]};
        if (!accept || accept(match)) best = match;
      }
      if (end == text.size()) break;
      const auto child = children_.find({node, text[end]});
      node = child != children_.end() ? child->second : -1;
    }
    if (best.token != nullptr) return best;
  }
  return {text.size(), text.size(), nullptr};
}

// The library passes over a special token as a whole, so no other token is found inside it.
void AddedTokens::split(std::string_view text, const std::function<void(std::string_view)>& on_text,
                        const std::function<void(int32_t id)>& on_token) const {
  const auto next = [&](size_t from) {
    Match match = find(text, from);
    while (match.token != nullptr && match.token->special) match = find(text, match.end);
    return match;
  };
  split(text, next, on_text, on_token);
}

void AddedTokens::split(std::string_view text, const Accept& accept,
                        const std::function<void(std::string_view)>& on_text,
                        const std::function<void(int32_t id)>& on_token) const {
  split(
      text, [&](size_t from) { return find(text, from, accept); }, on_text, on_token);
}

void AddedTokens::split(std::string_view text, const std::function<Match(size_t from)>& next,
                        const std::function<void(std::string_view)>& on_text,
                        const std::function<void(int32_t id)>& on_token) const {
  size_t done = 0;
  if (!tokens_.empty()) {
    size_t from = 0;
    for (Match match; (match = next(from)).token != nullptr;) {
      from = match.end;
      const AddedToken& token = *match.token;
      if (token.single_word && (is_word_before(text, match.begin) || is_word_after(text, match.end))) continue;
      if (token.lstrip) match.begin = std::max(skip_white_space_back(text, match.begin), done);
      if (token.rstrip) match.end = skip_white_space(text, match.end);
      if (done < match.begin) on_text(text.substr(done, match.begin - done));
      on_token(token.id);
      done = match.end;
    }
  }
  if (done < text.size()) on_text(text.substr(done));
}

}  // namespace terse::data
