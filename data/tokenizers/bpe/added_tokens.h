// Finds the tokens that a tokenizer file adds to its model, such as "<|im_end|>", in a text.
//
// The rules are those of AddedVocabulary in the `tokenizers` library: the leftmost match counts, and of several that
// begin there the longest.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace terse::data {

struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool special = false;      // controls the model; no text of a user becomes this token
  bool normalized = true;    // found in the normalized text, instead of the text as given
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool single_word = false;  // only where no word character stands beside it
};

// Finds any of a list of tokens. It is immutable, so any number of threads may use it.
class AddedTokens {
 public:
  AddedTokens() : AddedTokens(std::vector<AddedToken>{}) {}
  explicit AddedTokens(std::vector<AddedToken> tokens);

  struct Match {
    size_t begin;
    size_t end;
    const AddedToken* token;  // null: there is no further match
  };
  using Accept = std::function<bool(const Match&)>;

  // Calls one of the two with each part of the text, in order. Parts of text are not empty. Special tokens count as
  // text.
  void split(std::string_view text, const std::function<void(std::string_view)>& on_text,
             const std::function<void(int32_t id)>& on_token) const;
  // Does the same with the matches that `accept` takes, special or not. The others count as text.
  void split(std::string_view text, const Accept& accept, const std::function<void(std::string_view)>& on_text,
             const std::function<void(int32_t id)>& on_token) const;

  bool empty() const { return tokens_.empty(); }
  size_t longest() const { return longest_; }  // bytes of a content
  // Whether a match depends on the text beside it, because of lstrip, rstrip or single_word.
  bool look_around() const { return look_around_; }

  // Returns the first match at or after `from`, whatever the flags of its token. With `accept`, it is the first that
  // `accept` takes.
  Match find(std::string_view text, size_t from, const Accept& accept = {}) const;

 private:
  void split(std::string_view text, const std::function<Match(size_t from)>& next,
             const std::function<void(std::string_view)>& on_text,
             const std::function<void(int32_t id)>& on_token) const;

  std::vector<AddedToken> tokens_;
  // A trie. children_ maps (node, byte) to a node; the root is node 0. token_[node] is the index of the token that ends
  // at the node, or -1.
  std::map<std::pair<int32_t, char>, int32_t> children_;
  std::vector<int32_t> token_;
  std::array<int32_t, 256> first_{};  // the children of the root; 0: none
  size_t longest_ = 0;
  bool look_around_ = false;
};

}  // namespace terse::data
