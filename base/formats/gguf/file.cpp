// Reads the header, the metadata and the descriptions of tensors in the order of the file, and then compares the
// tensors with the data.
#include "base/formats/gguf/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <stdexcept>
#include <tuple>

#include "base/errors.h"
#include "base/formats/gguf/quantization.h"
#include "base/formats/tensor_shape.h"
#include "base/utf8.h"

namespace terse {

namespace {

static_assert(std::endian::native == std::endian::little, "the files are little-endian, and nothing swaps bytes");

constexpr std::string_view kMagic = "GGUF";

// The fewest bytes of an entry (length and text of a key, type, value) and of a tensor (length and text of a name,
// number of sizes, type, offset). They bound how many a file can have.
constexpr uint64_t kLeastEntry = 8 + 1 + 4 + 1;
constexpr uint64_t kLeastTensor = 8 + 1 + 4 + 4 + 8;

// The indices of `items` in the order of their names.
template <typename Items, typename Name>
std::vector<size_t> sorted_by(const Items& items, Name name) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return name(items[a]) < name(items[b]); });
  return order;
}

// The first name that comes twice; nullopt when none does.
template <typename Items, typename Name>
std::optional<std::string_view> find_twice(const Items& items, const std::vector<size_t>& order, Name name) {
  for (size_t i = 1; i < order.size(); ++i) {
    if (name(items[order[i - 1]]) == name(items[order[i]])) return name(items[order[i]]);
  }
  return std::nullopt;
}

template <typename Items, typename Name>
auto find_by(const Items& items, const std::vector<size_t>& order, std::string_view wanted, Name name)
    -> decltype(&items[0]) {
  const auto found = std::lower_bound(order.begin(), order.end(), wanted,
                                      [&](size_t i, std::string_view text) { return name(items[i]) < text; });
  return found != order.end() && name(items[*found]) == wanted ? &items[*found] : nullptr;
}

std::string_view key_of(const GgufEntry& entry) {
  return entry.key;
}

std::string_view name_of(const GgufTensor& tensor) {
  return tensor.name;
}

void check_name(const GgufCursor& cursor, std::string_view name, size_t longest, const std::string& what) {
  if (name.empty() || name.size() > longest) {
    cursor.fail(fmt::format("the name of {} has {} bytes, expected 1 to {}", what, name.size(), longest));
  }
  if (find_invalid_utf8(name) != std::string_view::npos) {
    cursor.fail(fmt::format("the name of {}, {}, is not UTF-8", what, quote(name)));
  }
}

// The elements of an array as numbers or texts; nullopt when it is no array or holds something else.
template <typename T, typename Convert>
std::optional<std::vector<T>> convert_array(const GgufValue& array, Convert convert) {
  if (array.type != GgufType::kArray) return std::nullopt;
  GgufCursor cursor(array.bytes, "an array");
  std::vector<T> values;
  values.reserve(array.count);
  for (uint64_t i = 0; i < array.count; ++i) {
    const std::optional<T> value = convert(cursor.value(array.element_type, "an element"));
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

uint32_t read_version(GgufCursor& cursor) {
  const std::string_view magic = cursor.bytes(kMagic.size(), "the mark \"GGUF\"");
  if (magic != kMagic) cursor.fail(fmt::format("the file begins with {}, expected \"GGUF\"", quote(magic)));
  const auto version = cursor.number<uint32_t>("the version");
  if (version != 0 && (version & 0xFFFF) == 0) cursor.fail("this is a big-endian file; only little-endian is read");
  if (version == 1) cursor.fail("this is a GGUF file of version 1; convert it with a newer llama.cpp first");
  if (version < 2 || version > kGgufVersion) {
    cursor.fail(fmt::format("this is a GGUF file of version {}, but only versions 2 and 3 are read", version));
  }
  return version;
}

// Reads a description except for the place of the data, whose offset is returned.
uint64_t read_tensor(GgufCursor& cursor, GgufTensor& tensor, uint64_t index) {
  const std::string number = fmt::format("tensor {}", index);
  tensor.name = cursor.text("the name of " + number);
  check_name(cursor, tensor.name, kMaxGgufTensorName, number);
  const std::string what = fmt::format("tensor {}", quote(tensor.name));
  const auto count = cursor.number<uint32_t>("the number of dimensions of " + what);
  if (count > kMaxGgufDims) {
    cursor.fail(fmt::format("{} has {} dimensions, expected at most {}", what, count, kMaxGgufDims));
  }
  for (uint32_t i = 0; i < count; ++i) tensor.shape.push_back(cursor.number<int64_t>("the shape of " + what));
  std::reverse(tensor.shape.begin(), tensor.shape.end());
  const auto type_number = cursor.number<uint32_t>("the type of " + what);
  const std::optional<GgmlType> type = find_ggml_type(type_number);
  if (!type) cursor.fail(fmt::format("{} has the unknown type {}", what, type_number));
  tensor.type = *type;
  if (!ggml_bytes(*type, tensor.shape)) {
    cursor.fail(
        fmt::format("{} is {} with shape {}, which is negative, overflows, or has rows that are no whole blocks "
                    "of {} elements",
                    what, ggml_name(*type), shape_text(tensor.shape), ggml_block_elements(*type)));
  }
  return cursor.number<uint64_t>("the offset of " + what);
}

}  // namespace

GgufFile::GgufFile(const std::filesystem::path& path)
    : file_(std::make_unique<MappedFile>(path)), name_(path.string()) {
  file_->expect_sequential_reads();
  read(file_->bytes());
}

GgufFile::GgufFile(std::string_view bytes, std::string name) : name_(std::move(name)) {
  read(bytes);
}

void GgufFile::fail(const std::string& what) const {
  throw DataError(fmt::format("{}: {}", name_, what));
}

void GgufFile::read(std::string_view bytes) {
  GgufCursor cursor(bytes, name_);
  version_ = read_version(cursor);
  const auto tensors = cursor.number<uint64_t>("the number of tensors");
  const auto entries = cursor.number<uint64_t>("the number of keys");
  read_metadata(cursor, entries);
  read_alignment();
  const std::vector<uint64_t> offsets = read_tensors(cursor, tensors);
  if (tensors == 0 && cursor.left() == 0) return;  // Then the padding may be missing, too.
  const uint64_t past = cursor.position() % alignment_;
  if (past != 0) cursor.skip_to(cursor.position() + (alignment_ - past), "the data");
  place_tensors(bytes.substr(cursor.position()), offsets);
}

void GgufFile::read_metadata(GgufCursor& cursor, uint64_t count) {
  if (count > cursor.left() / kLeastEntry) {
    cursor.fail(fmt::format("it has {} keys, too many for the {} bytes that are left", count, cursor.left()));
  }
  metadata_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    const std::string number = fmt::format("key {}", i);
    GgufEntry& entry = metadata_.emplace_back();
    entry.key = cursor.text("the name of " + number);
    check_name(cursor, entry.key, kMaxGgufKey, number);
    const std::string what = fmt::format("key {}", quote(entry.key));
    const GgufType type = cursor.type(what);
    entry.value = cursor.value(type, what);
  }
  keys_by_name_ = sorted_by(metadata_, key_of);
  if (const auto twice = find_twice(metadata_, keys_by_name_, key_of)) {
    fail(fmt::format("it has key {} twice", quote(*twice)));
  }
}

void GgufFile::read_alignment() {
  const GgufValue* const given = find(kGgufAlignmentKey);
  if (given == nullptr) return;
  const std::optional<int64_t> alignment = given->integer();
  if (given->type != GgufType::kUint32 || !alignment) fail_type(kGgufAlignmentKey, "uint32");
  if (!std::has_single_bit(static_cast<uint64_t>(*alignment))) {
    fail(fmt::format("key \"{}\" is {}, expected a power of two", kGgufAlignmentKey, *alignment));
  }
  alignment_ = static_cast<uint64_t>(*alignment);
}

std::vector<uint64_t> GgufFile::read_tensors(GgufCursor& cursor, uint64_t count) {
  if (count > cursor.left() / kLeastTensor) {
    cursor.fail(fmt::format("it has {} tensors, too many for the {} bytes that are left", count, cursor.left()));
  }
  std::vector<uint64_t> offsets;
  offsets.reserve(count);
  tensors_.reserve(count);
  for (uint64_t i = 0; i < count; ++i) offsets.push_back(read_tensor(cursor, tensors_.emplace_back(), i));
  tensors_by_name_ = sorted_by(tensors_, name_of);
  if (const auto twice = find_twice(tensors_, tensors_by_name_, name_of)) {
    fail(fmt::format("it has tensor {} twice", quote(*twice)));
  }
  return offsets;
}

// Every tensor begins where the padding of the one before ends. The padding of the last one may be missing.
void GgufFile::place_tensors(std::string_view data, const std::vector<uint64_t>& offsets) {
  std::vector<size_t> order(tensors_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto bytes_of = [&](size_t i) { return ggml_bytes(tensors_[i].type, tensors_[i].shape).value(); };
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::tuple(offsets[a], bytes_of(a), a) < std::tuple(offsets[b], bytes_of(b), b);
  });
  uint64_t at = 0;
  for (const size_t i : order) {
    const std::string what = fmt::format("tensor {}", quote(tensors_[i].name));
    if (offsets[i] % alignment_ != 0) {
      fail(
          fmt::format("{} begins at byte {} of the data, which is not a multiple of {}", what, offsets[i], alignment_));
    }
    if (offsets[i] != at) {
      fail(fmt::format("{} begins at byte {} of the data, but what is before it ends at byte {}: {}", what, offsets[i],
                       at, offsets[i] < at ? "they overlap" : "there is a hole"));
    }
    const uint64_t bytes = bytes_of(i);
    if (at > data.size() || bytes > data.size() - at) {
      fail(fmt::format("{} takes bytes {} to {} of the data, but the file has {} bytes of data", what, at, at + bytes,
                       data.size()));
    }
    tensors_[i].bytes = data.substr(at, bytes);
    at += bytes;
    at += (alignment_ - at % alignment_) % alignment_;
  }
  if (data.size() > at) fail(fmt::format("{} bytes follow the data of the last tensor", data.size() - at));
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const GgufEntry* const entry = find_by(metadata_, keys_by_name_, key, key_of);
  return entry != nullptr ? &entry->value : nullptr;
}

const GgufValue& GgufFile::value(std::string_view key) const {
  const GgufValue* const found = find(key);
  if (found == nullptr) fail(fmt::format("it has no key {}", quote(key)));
  return *found;
}

void GgufFile::fail_type(std::string_view key, const char* expected) const {
  fail(fmt::format("key {} is of type {}, expected {}", quote(key), value(key).type_text(), expected));
}

int64_t GgufFile::integer(std::string_view key) const {
  const std::optional<int64_t> result = value(key).integer();
  if (!result) fail_type(key, "an integer of at most 2^63 - 1");
  return *result;
}

double GgufFile::number(std::string_view key) const {
  const std::optional<double> result = value(key).number();
  if (!result) fail_type(key, "float32 or float64");
  return *result;
}

bool GgufFile::boolean(std::string_view key) const {
  const std::optional<bool> result = value(key).boolean();
  if (!result) fail_type(key, "bool");
  return *result;
}

std::string_view GgufFile::text(std::string_view key) const {
  const std::optional<std::string_view> result = value(key).text();
  if (!result) fail_type(key, "string");
  return *result;
}

std::vector<int64_t> GgufFile::integers(std::string_view key) const {
  auto result = convert_array<int64_t>(value(key), [](const GgufValue& element) { return element.integer(); });
  if (!result) fail_type(key, "array of integers of at most 2^63 - 1");
  return std::move(*result);
}

std::vector<double> GgufFile::numbers(std::string_view key) const {
  auto result = convert_array<double>(value(key), [](const GgufValue& element) { return element.number(); });
  if (!result) fail_type(key, "array of float32 or float64");
  return std::move(*result);
}

std::vector<std::string_view> GgufFile::texts(std::string_view key) const {
  auto result = convert_array<std::string_view>(value(key), [](const GgufValue& element) { return element.text(); });
  if (!result) fail_type(key, "array of string");
  return std::move(*result);
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  return find_by(tensors_, tensors_by_name_, name, name_of);
}

const GgufTensor& GgufFile::tensor(std::string_view name) const {
  const GgufTensor* const found = find_tensor(name);
  if (found == nullptr) fail(fmt::format("it holds no tensor {}", quote(name)));
  return *found;
}

void GgufFile::read_rows(const GgufTensor& tensor, int64_t first, int64_t count, std::span<float> values) const {
  if (!can_dequantize(tensor.type)) {
    fail(
        fmt::format("tensor {} has type {}, which is not read; requantize the model to Q8_0, Q6_K, Q5_K, Q4_K, Q5_1, "
                    "Q5_0, Q4_1, Q4_0, BF16, F16 or F32",
                    quote(tensor.name), ggml_name(tensor.type)));
  }
  require_rows(tensor.shape, first, count, tensor.name);
  const auto all = static_cast<size_t>(row_count(tensor.shape));
  const size_t row = all == 0 ? 0 : tensor.bytes.size() / all;
  dequantize(tensor.type, tensor.bytes.substr(static_cast<size_t>(first) * row, static_cast<size_t>(count) * row),
             values);
}

void GgufFile::release(std::string_view bytes) const {
  if (file_) file_->release(bytes);
}

}  // namespace terse
