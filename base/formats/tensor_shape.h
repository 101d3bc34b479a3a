// Computes the size of a tensor that a file declares, and puts what a file says into messages. Nothing that a file says
// is trusted: sizes may be negative or overflow, and names may be endless or no text at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace terse {

constexpr size_t kMaxTensorDims = 64;  // as in PyTorch

// Elements of a tensor of this shape; nullopt when a size is negative or the product of the sizes overflows, without
// those that are 0.
std::optional<int64_t> element_count(const std::vector<int64_t>& shape);

// A tensor is read by rows: the elements along the last dimension. A vector is one row, and so is a scalar.
int64_t row_elements(const std::vector<int64_t>& shape);
// How many rows a tensor has. Throws std::invalid_argument when element_count() has no value.
int64_t row_count(const std::vector<int64_t>& shape);
// Throws std::out_of_range, which names `tensor`, unless rows [first, first + count) are among its rows.
void require_rows(const std::vector<int64_t>& shape, int64_t first, int64_t count, std::string_view tensor);

// "[2, 3]"
std::string shape_text(const std::vector<int64_t>& shape);

// Returns a name from a file for a message: in double quotes, with escapes for control characters, and shortened when
// it is long.
std::string quote(std::string_view name);

}  // namespace terse
