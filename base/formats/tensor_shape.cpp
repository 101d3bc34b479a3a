// Counts with overflow checks, and escapes what a terminal or a log must not get.
#include "base/formats/tensor_shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

#include "base/utf8.h"

namespace terse {

namespace {

constexpr size_t kLongestName = 100;  // bytes that a message shows

}  // namespace

std::optional<int64_t> element_count(const std::vector<int64_t>& shape) {
  int64_t product = 1;  // of the sizes that are not 0, so that strides do not overflow either
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) empty = true;
    if (size > 0 && __builtin_mul_overflow(product, size, &product)) return std::nullopt;
  }
  return empty ? 0 : product;
}

int64_t row_elements(const std::vector<int64_t>& shape) {
  return shape.empty() ? 1 : shape.back();
}

int64_t row_count(const std::vector<int64_t>& shape) {
  if (shape.empty()) return 1;
  const std::optional<int64_t> rows = element_count({shape.begin(), shape.end() - 1});
  if (!rows) throw std::invalid_argument("a tensor of shape " + shape_text(shape) + " has no number of rows");
  return *rows;
}

void require_rows(const std::vector<int64_t>& shape, int64_t first, int64_t count, std::string_view tensor) {
  const int64_t rows = row_count(shape);
  if (first >= 0 && count >= 0 && first <= rows && count <= rows - first) return;
  throw std::out_of_range(
      fmt::format("{} rows from row {} of tensor {}, which has {} rows", count, first, quote(tensor), rows));
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string quote(std::string_view name) {
  const bool is_long = name.size() > kLongestName;
  if (is_long) name = name.substr(0, whole_characters(name.substr(0, kLongestName)));
  std::string text = "\"";
  for (const char c : printable(name)) {
    if (c == '"' || c == '\\') text += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      text += c;
    }
  }
  return text + (is_long ? "...\"" : "\"");
}

}  // namespace terse
