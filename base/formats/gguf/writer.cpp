// Appends the metadata to a buffer as it is added, so that the head of a file is ready when its tensors are known.
#include "base/formats/gguf/writer.h"

#include <fmt/format.h>

#include <stdexcept>

#include "base/formats/tensor_shape.h"
#include "base/utf8.h"

namespace terse {

namespace {

template <typename T>
void put(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void put_text(std::string& bytes, std::string_view text) {
  put(bytes, static_cast<uint64_t>(text.size()));
  bytes += text;
}

uint64_t bytes_of(const GgufSpec& spec) {
  const std::optional<uint64_t> bytes = ggml_bytes(spec.type, spec.shape);
  if (!bytes || spec.shape.size() > kMaxGgufDims) {
    throw std::invalid_argument(fmt::format("tensor {} cannot be {} with shape {}", quote(spec.name),
                                            ggml_name(spec.type), shape_text(spec.shape)));
  }
  return *bytes;
}

void check_names(const std::vector<GgufSpec>& tensors) {
  std::set<std::string_view> names;
  for (const GgufSpec& spec : tensors) {
    const bool is_name = !spec.name.empty() && spec.name.size() <= kMaxWrittenGgufTensorName &&
                         find_invalid_utf8(spec.name) == std::string_view::npos;
    if (!is_name) {
      throw std::invalid_argument(fmt::format("no tensor of a GGUF file can have the name {}", quote(spec.name)));
    }
    if (!names.insert(spec.name).second) {
      throw std::invalid_argument(fmt::format("tensor {} comes twice", quote(spec.name)));
    }
  }
}

std::string head(const GgufMetadata& metadata, const std::vector<GgufSpec>& tensors) {
  check_names(tensors);
  std::string bytes = "GGUF";
  put(bytes, kGgufVersion);
  put(bytes, static_cast<uint64_t>(tensors.size()));
  put(bytes, metadata.count());
  bytes += metadata.bytes();
  uint64_t offset = 0;
  for (const GgufSpec& spec : tensors) {
    put_text(bytes, spec.name);
    put(bytes, static_cast<uint32_t>(spec.shape.size()));
    for (size_t i = spec.shape.size(); i-- > 0;) put(bytes, spec.shape[i]);
    put(bytes, static_cast<uint32_t>(spec.type));
    put(bytes, offset);
    offset += (bytes_of(spec) + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
  }
  return bytes;
}

std::vector<StreamedTensor> streamed(const std::vector<GgufSpec>& tensors) {
  std::vector<StreamedTensor> result;
  for (const GgufSpec& spec : tensors) result.push_back({spec.name, bytes_of(spec)});
  return result;
}

}  // namespace

void GgufMetadata::begin(std::string_view key, GgufType type) {
  const bool is_key = !key.empty() && key.size() <= kMaxGgufKey && find_invalid_utf8(key) == std::string_view::npos &&
                      key != kGgufAlignmentKey;
  if (!is_key) throw std::invalid_argument(fmt::format("no entry of a GGUF file can have the key {}", quote(key)));
  if (!keys_.emplace(key).second) throw std::invalid_argument(fmt::format("key {} comes twice", quote(key)));
  put_text(bytes_, key);
  put(bytes_, static_cast<uint32_t>(type));
}

void GgufMetadata::begin_array(std::string_view key, GgufType type, uint64_t count) {
  begin(key, GgufType::kArray);
  put(bytes_, static_cast<uint32_t>(type));
  put(bytes_, count);
}

void GgufMetadata::add_uint32(std::string_view key, uint32_t value) {
  begin(key, GgufType::kUint32);
  put(bytes_, value);
}

void GgufMetadata::add_int32(std::string_view key, int32_t value) {
  begin(key, GgufType::kInt32);
  put(bytes_, value);
}

void GgufMetadata::add_uint64(std::string_view key, uint64_t value) {
  begin(key, GgufType::kUint64);
  put(bytes_, value);
}

void GgufMetadata::add_float32(std::string_view key, float value) {
  begin(key, GgufType::kFloat32);
  put(bytes_, value);
}

void GgufMetadata::add_bool(std::string_view key, bool value) {
  begin(key, GgufType::kBool);
  put(bytes_, static_cast<uint8_t>(value));
}

void GgufMetadata::add_text(std::string_view key, std::string_view value) {
  begin(key, GgufType::kString);
  put_text(bytes_, value);
}

void GgufMetadata::add_texts(std::string_view key, const std::vector<std::string>& values) {
  begin_array(key, GgufType::kString, values.size());
  for (const std::string& value : values) put_text(bytes_, value);
}

void GgufMetadata::add_texts(std::string_view key, const std::vector<std::string_view>& values) {
  begin_array(key, GgufType::kString, values.size());
  for (const std::string_view value : values) put_text(bytes_, value);
}

void GgufMetadata::add_int32s(std::string_view key, const std::vector<int32_t>& values) {
  begin_array(key, GgufType::kInt32, values.size());
  for (const int32_t value : values) put(bytes_, value);
}

void GgufMetadata::add_float32s(std::string_view key, const std::vector<float>& values) {
  begin_array(key, GgufType::kFloat32, values.size());
  for (const float value : values) put(bytes_, value);
}

void GgufMetadata::add(const GgufEntry& entry) {
  const GgufValue& value = entry.value;
  begin(entry.key, value.type);
  if (value.type == GgufType::kArray) {
    put(bytes_, static_cast<uint32_t>(value.element_type));
    put(bytes_, value.count);
  } else if (value.type == GgufType::kString) {
    put(bytes_, static_cast<uint64_t>(value.bytes.size()));
  }
  bytes_ += value.bytes;
}

GgufWriter::GgufWriter(const std::filesystem::path& path, const GgufMetadata& metadata,
                       const std::vector<GgufSpec>& tensors)
    : stream_(path, head(metadata, tensors), streamed(tensors), kGgufAlignment) {}

}  // namespace terse
