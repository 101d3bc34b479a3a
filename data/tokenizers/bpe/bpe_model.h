// Encodes one piece of text by byte-level byte pair encoding: it starts with the tokens of the bytes, and merges
// neighbours in the order in which training learned the merges.
//
// The source is Sennrich et al. 2016 (arXiv:1508.07909), applied to bytes as in GPT-2.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/tokenizers/bpe/merge_table.h"

namespace terse::data {

struct BpeVocabulary {
  struct Token {
    std::string bytes;
    bool in_text = false;  // encode() may give it: it is a text in byte characters, and no special token
  };
  std::vector<Token> tokens;       // by id
  std::vector<Merge> merges;       // by rank
  bool ignore_merges = false;      // a piece that is a token becomes this token, whatever the merges make of it
  std::optional<int32_t> unknown;  // stands for a byte without a token
  bool fuse_unknown = false;       // one `unknown` for several such bytes in a row
};

// A model is immutable, so any number of threads may use it.
class BpeModel {
 public:
  explicit BpeModel(const BpeVocabulary& vocabulary);

  // Appends the ids of a piece. Returns npos, or the index of a byte that has no token where there is no `unknown`;
  // then the ids are incomplete. The time is O(n log n).
  size_t encode(std::string_view piece, std::vector<int32_t>& ids) const;

 private:
  size_t append_bytes(std::string_view piece, std::vector<int32_t>& ids) const;
  void merge_short(std::vector<int32_t>& ids, size_t begin) const;
  void merge_long(std::vector<int32_t>& ids, size_t begin) const;
  void merge(std::vector<int32_t>& ids, size_t begin) const;

  std::array<int32_t, 256> byte_token_{};  // -1: none
  MergeTable merges_;
  std::optional<int32_t> unknown_;
  bool fuse_unknown_;
  std::string bytes_;  // of all tokens that are keys of whole_
  // The pieces that become one token. Most pieces of a text are among them, and one look-up is faster than merging.
  std::unordered_map<std::string_view, int32_t> whole_;
};

}  // namespace terse::data
