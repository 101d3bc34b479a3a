// Implements the error that all tokenizers share.
#include "data/tokenizers/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>

namespace terse::data {

namespace {

std::string place(const std::string& reason, std::string_view text, int64_t offset) {
  const auto line = 1 + std::count(text.begin(), text.begin() + offset, '\n');
  return fmt::format("{} at byte {}, line {}", reason, offset, line);
}

}  // namespace

EncodeError::EncodeError(std::string reason, std::string_view text, int64_t offset)
    : std::invalid_argument(place(reason, text, offset)), reason_(std::move(reason)), offset_(offset) {}

}  // namespace terse::data
