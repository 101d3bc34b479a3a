// Encodes with a fixed list of symbols, such as `0 1 2 + * = > ; ? </think> <eos> <bos>`. Each task defines its
// language this way.
//
// encode() takes the longest symbol that matches. White space separates symbols and is otherwise ignored. decode()
// writes a space around each longer symbol, and between two single characters that are adjacent in a longer symbol. So
// encode(decode(ids)) == ids for every sequence of ids.
#pragma once

#include <set>
#include <utility>

#include "data/tokenizers/tokenizer.h"

namespace terse::data {

class SymbolTokenizer final : public Tokenizer {
 public:
  // The id of a symbol is its index. "<bos>" and "<eos>" have their meaning when present. Throws std::invalid_argument
  // that names the symbol when one is empty, contains white space, is not UTF-8 or occurs twice.
  SymbolTokenizer(std::string name, std::vector<std::string> symbols);

  int64_t vocab_size() const override { return static_cast<int64_t>(symbols_.size()); }
  std::vector<int32_t> encode(std::string_view text) const override;
  std::string decode(const std::vector<int32_t>& ids) const override;
  std::string id() const override { return id_; }
  int32_t bos() const override { return bos_; }
  int32_t eos() const override { return eos_; }
  std::string definition() const override;
  size_t split_point(std::string_view text) const override;

  const std::vector<std::string>& symbols() const { return symbols_; }
  // Returns the id of a symbol. Throws std::invalid_argument that names the symbol when it is not in the list.
  int32_t id_of(std::string_view symbol) const;

 private:
  int32_t match(std::string_view text) const;  // id of the longest symbol at the start of the text; -1: none
  bool needs_space(int32_t left, int32_t right) const;

  std::string name_;
  std::vector<std::string> symbols_;
  std::vector<int32_t> by_length_;                          // ids, longest symbol first
  std::vector<bool> single_;                                // one code point
  std::set<std::pair<std::string, std::string>> adjacent_;  // neighbouring characters inside longer symbols
  std::string id_;
  int32_t bos_ = -1;
  int32_t eos_ = -1;
};

}  // namespace terse::data
