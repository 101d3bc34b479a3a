// Checks the size of every part before it is touched. Nothing is copied.
#include "base/formats/gguf/value.h"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "base/errors.h"
#include "base/formats/tensor_shape.h"

namespace terse {

namespace {

struct Info {
  std::string_view name;
  size_t bytes;  // of a value; of a string and an array, the least that one takes
};

// The index is the value of the enum.
constexpr std::array<Info, 13> kTypes = {{
    {"uint8", 1},
    {"int8", 1},
    {"uint16", 2},
    {"int16", 2},
    {"uint32", 4},
    {"int32", 4},
    {"float32", 4},
    {"bool", 1},
    {"string", 8},
    {"array", 12},
    {"uint64", 8},
    {"int64", 8},
    {"float64", 8},
}};

const Info& info(GgufType type) {
  return kTypes.at(static_cast<size_t>(type));
}

template <typename T>
T load(std::string_view bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

}  // namespace

std::string GgufValue::type_text() const {
  if (type != GgufType::kArray) return std::string(info(type).name);
  return fmt::format("array of {}", info(element_type).name);
}

std::optional<int64_t> GgufValue::integer() const {
  switch (type) {
    case GgufType::kUint8:
      return load<uint8_t>(bytes);
    case GgufType::kInt8:
      return load<int8_t>(bytes);
    case GgufType::kUint16:
      return load<uint16_t>(bytes);
    case GgufType::kInt16:
      return load<int16_t>(bytes);
    case GgufType::kUint32:
      return load<uint32_t>(bytes);
    case GgufType::kInt32:
      return load<int32_t>(bytes);
    case GgufType::kInt64:
      return load<int64_t>(bytes);
    case GgufType::kUint64: {
      const auto value = load<uint64_t>(bytes);
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
      return static_cast<int64_t>(value);
    }
    default:
      return std::nullopt;
  }
}

std::optional<double> GgufValue::number() const {
  if (type == GgufType::kFloat32) return load<float>(bytes);
  if (type == GgufType::kFloat64) return load<double>(bytes);
  return std::nullopt;
}

std::optional<bool> GgufValue::boolean() const {
  if (type != GgufType::kBool) return std::nullopt;
  return bytes[0] != 0;
}

std::optional<std::string_view> GgufValue::text() const {
  if (type != GgufType::kString) return std::nullopt;
  return bytes;
}

std::optional<std::vector<GgufValue>> GgufValue::elements() const {
  if (type != GgufType::kArray) return std::nullopt;
  GgufCursor cursor(bytes, "an array");
  std::vector<GgufValue> values;
  values.reserve(count);
  for (uint64_t i = 0; i < count; ++i) values.push_back(cursor.value(element_type, "an element"));
  return values;
}

void GgufCursor::fail(const std::string& what) const {
  throw DataError(fmt::format("{}: at byte {}: {}", name_, at_, what));
}

std::string_view GgufCursor::bytes(uint64_t count, const std::string& what) {
  if (count > left()) fail(fmt::format("{} takes {} bytes, but only {} are left in the file", what, count, left()));
  const std::string_view taken = file_.substr(at_, count);
  at_ += count;
  return taken;
}

void GgufCursor::skip_to(size_t position, const std::string& what) {
  if (position > file_.size()) {
    fail(fmt::format("{} begins at byte {}, but the file has {} bytes", what, position, file_.size()));
  }
  at_ = position;
}

std::string_view GgufCursor::text(const std::string& what) {
  const auto length = number<uint64_t>(what);
  return bytes(length, what);
}

GgufType GgufCursor::type(const std::string& what) {
  const auto number_of_type = number<uint32_t>(what);
  if (number_of_type >= kTypes.size()) {
    fail(fmt::format("{} has type {}, but the known types of metadata are 0 to {}", what, number_of_type,
                     kTypes.size() - 1));
  }
  return static_cast<GgufType>(number_of_type);
}

GgufValue GgufCursor::value(GgufType type, const std::string& what) {
  return value_at(type, 0, what);
}

GgufValue GgufCursor::value_at(GgufType type, int depth, const std::string& what) {
  if (type == GgufType::kArray) return array(depth, what);
  const std::string_view content = type == GgufType::kString ? text(what) : bytes(info(type).bytes, what);
  if (type == GgufType::kBool && static_cast<unsigned char>(content[0]) > 1) {
    fail(fmt::format("{} holds the bool {}, expected 0 or 1", what, static_cast<unsigned char>(content[0])));
  }
  return {type, type, 0, content};
}

GgufValue GgufCursor::array(int depth, const std::string& what) {
  if (depth == kMaxGgufDepth) fail(fmt::format("{} is nested more than {} arrays deep", what, kMaxGgufDepth));
  GgufValue result;
  result.type = GgufType::kArray;
  result.element_type = type(what);
  result.count = number<uint64_t>(what);
  const Info& element = info(result.element_type);
  if (result.count > left() / element.bytes) {
    fail(fmt::format("{} has {} elements of type {}, too many for the {} bytes that are left", what, result.count,
                     element.name, left()));
  }
  const size_t begin = at_;
  const bool is_plain = result.element_type != GgufType::kString && result.element_type != GgufType::kArray &&
                        result.element_type != GgufType::kBool;
  if (is_plain) {
    bytes(result.count * element.bytes, what);
  } else {
    for (uint64_t i = 0; i < result.count; ++i) value_at(result.element_type, depth + 1, what);
  }
  result.bytes = file_.substr(begin, at_ - begin);
  return result;
}

}  // namespace terse
