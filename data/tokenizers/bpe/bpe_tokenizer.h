// Encodes text as GPT-2, Llama 3, Qwen and SmolLM do: byte-level byte pair encoding of the pieces into which patterns
// cut the text, with added tokens for what controls the model.
//
// Every token stands for bytes, and decode() joins them. So decode(encode(text)) is the text for all bytes, UTF-8 or
// not, except where the tokenizer normalizes, or removes or adds spaces. Bytes that are not UTF-8 are pieces of their
// own, because patterns are about characters.
#pragma once

#include "data/tokenizers/bpe/added_tokens.h"
#include "data/tokenizers/bpe/bpe_model.h"
#include "data/tokenizers/split/pre_tokenizer.h"
#include "data/tokenizers/tokenizer.h"

namespace terse::data {

// A BpeTokenizer is made of this. read_tokenizer_json() makes it, and has checked it.
struct BpeDefinition {
  BpeVocabulary vocabulary;  // with the added tokens
  std::vector<AddedToken> added;
  bool nfc = false;  // normalizes the text
  std::vector<SplitStep> steps;
  std::string rules;  // identifies `nfc` and `steps`, in one form for equal rules
  int32_t bos = -1;
  std::vector<int32_t> eos;  // the first one ends a document
  bool adds_bos = false;
  bool adds_eos = false;
  std::string text;  // the tokenizer.json
};

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(BpeDefinition definition);

  int64_t vocab_size() const override { return static_cast<int64_t>(tokens_.size()); }
  // Added tokens that are not special are found, as in the `tokenizers` library with encode_special_tokens. The error
  // names a byte without a token, or the place where a pattern of the file takes too many steps.
  std::vector<int32_t> encode(std::string_view text) const override;
  using Tokenizer::encode_template;
  std::vector<int32_t> encode_template(std::string_view text, std::span<const Span> special_allowed) const override;
  // Special tokens appear as their content. An id below vocab_size() that no token has decodes to nothing.
  std::string decode(const std::vector<int32_t>& ids) const override;
  std::string id() const override { return id_; }
  int32_t bos() const override { return bos_; }
  int32_t eos() const override { return eos_.empty() ? -1 : eos_[0]; }
  std::vector<int32_t> eos_ids() const override { return eos_; }
  bool is_special(int32_t id) const override;
  bool adds_bos() const override { return adds_bos_ && bos_ >= 0; }
  bool adds_eos() const override { return adds_eos_ && !eos_.empty(); }
  std::string definition() const override { return text_; }
  size_t split_point(std::string_view text) const override;

 private:
  class Encoding;

  std::vector<std::string> tokens_;  // the bytes of each id
  std::vector<bool> special_;        // of each id
  BpeModel model_;
  AddedTokens raw_;         // found in the text as given
  AddedTokens normalized_;  // found in the normalized text
  bool nfc_;
  PreTokenizer pre_tokenizer_;
  int32_t bos_;
  std::vector<int32_t> eos_;
  bool adds_bos_;
  bool adds_eos_;
  std::string text_;
  std::string id_;
};

}  // namespace terse::data
