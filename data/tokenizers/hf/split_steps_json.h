// Reads the parts of a tokenizer.json that prepare the text for the model: the normalizer and the pre-tokenizer.
#pragma once

#include <string>
#include <vector>

#include "data/tokenizers/hf/json_place.h"
#include "data/tokenizers/split/pre_tokenizer.h"

namespace terse::data {

struct Preparation {
  bool nfc = false;
  std::vector<SplitStep> steps;
  std::string rules;  // identifies both, in one form for equal rules
};

// `document` is the whole tokenizer.json. Throws std::invalid_argument for anything that is not supported, and where
// the last step is not ByteLevel.
Preparation read_preparation(const JsonPlace& document);

}  // namespace terse::data
