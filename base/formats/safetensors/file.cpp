// Maps a file, checks the length of its header, and gives out parts of the mapping.
#include "base/formats/safetensors/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "base/errors.h"
#include "base/formats/gguf/quantization.h"
#include "base/formats/safetensors/header.h"
#include "base/formats/tensor_shape.h"

namespace terse {

namespace {

static_assert(std::endian::native == std::endian::little, "the files are little-endian, and nothing swaps bytes");

constexpr size_t kLengthBytes = 8;

void read_doubles(std::string_view bytes, std::span<float> values) {
  for (size_t i = 0; i < values.size(); ++i) {
    double value;
    std::memcpy(&value, bytes.data() + i * sizeof(value), sizeof(value));
    values[i] = static_cast<float>(value);
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(std::make_unique<MappedFile>(path)), name_(path.string()) {
  file_->expect_sequential_reads();
  read(file_->bytes());
}

SafetensorsFile::SafetensorsFile(std::string_view bytes, std::string name) : name_(std::move(name)) {
  read(bytes);
}

void SafetensorsFile::fail(const std::string& what) const {
  throw DataError(fmt::format("{}: {}", name_, what));
}

void SafetensorsFile::read(std::string_view bytes) {
  if (bytes.size() < kLengthBytes) {
    fail(fmt::format("it has {} bytes, too few for a safetensors file", bytes.size()));
  }
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxSafetensorsHeader) {
    fail(fmt::format("its header has {} bytes, expected at most {}; this is not a safetensors file", length,
                     kMaxSafetensorsHeader));
  }
  bytes.remove_prefix(kLengthBytes);
  if (length > bytes.size()) {
    fail(fmt::format("its header has {} bytes, but the file has only {} after the length", length, bytes.size()));
  }
  SafetensorsHeader header = parse_safetensors_header(bytes.substr(0, length), bytes.size() - length, name_);
  bytes.remove_prefix(length);
  metadata_ = std::move(header.metadata);
  tensors_.reserve(header.entries.size());
  for (SafetensorsEntry& entry : header.entries) {
    tensors_.push_back({std::move(entry.name), entry.dtype, std::move(entry.shape),
                        bytes.substr(entry.begin, entry.end - entry.begin)});
  }
  by_name_.resize(tensors_.size());
  std::iota(by_name_.begin(), by_name_.end(), size_t{0});
  std::sort(by_name_.begin(), by_name_.end(), [&](size_t a, size_t b) { return tensors_[a].name < tensors_[b].name; });
}

const SafetensorsTensor* SafetensorsFile::find(std::string_view tensor) const {
  const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), tensor,
                                      [&](size_t i, std::string_view name) { return tensors_[i].name < name; });
  if (found == by_name_.end() || tensors_[*found].name != tensor) return nullptr;
  return &tensors_[*found];
}

const SafetensorsTensor& SafetensorsFile::tensor(std::string_view tensor) const {
  const SafetensorsTensor* const found = find(tensor);
  if (found == nullptr) fail(fmt::format("it holds no tensor {}", quote(tensor)));
  return *found;
}

std::string_view SafetensorsFile::rows(const SafetensorsTensor& tensor, int64_t first, int64_t count) const {
  require_rows(tensor.shape, first, count, tensor.name);
  if (tensor.bytes.empty()) return tensor.bytes;
  const auto all = static_cast<size_t>(row_count(tensor.shape));
  if (tensor.bytes.size() % all != 0) {
    fail(fmt::format("tensor {} is {} with shape {}, so its rows do not begin at whole bytes", quote(tensor.name),
                     safetensors_name(tensor.dtype), shape_text(tensor.shape)));
  }
  const size_t row = tensor.bytes.size() / all;
  return tensor.bytes.substr(static_cast<size_t>(first) * row, static_cast<size_t>(count) * row);
}

void SafetensorsFile::read_rows(const SafetensorsTensor& tensor, int64_t first, int64_t count,
                                std::span<float> values) const {
  const std::string_view bytes = rows(tensor, first, count);
  if (values.size() != bytes.size() * 8 / static_cast<size_t>(safetensors_bits(tensor.dtype))) {
    throw std::invalid_argument(
        fmt::format("{} values for {} bytes of tensor {}", values.size(), bytes.size(), quote(tensor.name)));
  }
  switch (tensor.dtype) {
    case SafetensorsDtype::kF32:
      return dequantize(GgmlType::kF32, bytes, values);
    case SafetensorsDtype::kF16:
      return dequantize(GgmlType::kF16, bytes, values);
    case SafetensorsDtype::kBF16:
      return dequantize(GgmlType::kBF16, bytes, values);
    case SafetensorsDtype::kF64:
      return read_doubles(bytes, values);
    default:
      fail(fmt::format("tensor {} has dtype {}, but only F32, F16, BF16 and F64 can be read as weights",
                       quote(tensor.name), safetensors_name(tensor.dtype)));
  }
}

void SafetensorsFile::release(std::string_view bytes) const {
  if (file_) file_->release(bytes);
}

}  // namespace terse
