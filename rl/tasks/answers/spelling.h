// Replaces several spellings of the same sign by one of them, before an answer is read.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace terse::rl {

using Spelling = std::pair<std::string_view, std::string_view>;  // found, and what takes its place

// Returns the text with every spelling replaced, from left to right. At each place the first spelling that matches is
// taken, and what was put in is not searched again.
inline std::string respelled(std::string_view text, std::span<const Spelling> spellings) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const auto found = std::find_if(spellings.begin(), spellings.end(),
                                    [&](const Spelling& each) { return text.substr(at).starts_with(each.first); });
    if (found == spellings.end()) {
      out += text[at++];
    } else {
      out += found->second;
      at += found->first.size();
    }
  }
  return out;
}

}  // namespace terse::rl
