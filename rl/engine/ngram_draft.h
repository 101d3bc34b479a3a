// Guesses of the next tokens for speculative decoding without a second model: what followed the last time that the
// latest tokens occurred. Known as prompt lookup decoding (Saxena 2023, github.com/apoorvumang/prompt-lookup-decoding),
// and as "ngram" in vLLM.
#pragma once

#include <cstdint>
#include <vector>

namespace terse::rl {

// Returns at most `most` guesses, possibly none, for the tokens after those of the first text. The texts, of which the
// first is searched first, are token ids: the sequence itself with its prompt, and others that may resemble it.
std::vector<int32_t> ngram_draft(const std::vector<const std::vector<int32_t>*>& texts, int64_t most);

}  // namespace terse::rl
