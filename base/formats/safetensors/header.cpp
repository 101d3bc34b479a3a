// Follows the events of the JSON reader through the three levels of a header, and then compares the tensors.
#include "base/formats/safetensors/header.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "base/errors.h"
#include "base/formats/strict_json.h"
#include "base/formats/tensor_shape.h"

namespace terse {

namespace {

constexpr char kMetadata[] = "__metadata__";
constexpr int kDepth = 3;  // the header, a tensor, its shape

class HeaderEvents : public JsonEvents {
 public:
  HeaderEvents(SafetensorsHeader& header, const std::string& where) : header_(header), where_(where) {}

  void begin(bool is_object) override {
    ++depth_;
    if (depth_ == 2) {
      if (!is_object) fail(fmt::format("{} is an array, expected an object", subject()));
      if (!in_metadata_) fields_ = 0;
    } else if (depth_ == 3) {
      const bool is_list = !in_metadata_ && (field_ == kShape || field_ == kOffsets);
      if (is_object || !is_list) fail(fmt::format("{} of {} is {}", quote(key_), subject(), wanted(is_object)));
    }
  }

  void end() override {
    --depth_;
    if (depth_ == 1 && !in_metadata_) finish_tensor();
    if (depth_ == 2 && field_ == kOffsets && offsets_ != 2) {
      fail(fmt::format("\"data_offsets\" of {} has {} numbers, expected 2", subject(), offsets_));
    }
  }

  void key(std::string name) override {
    if (depth_ == 1) {
      start_entry(std::move(name));
    } else if (in_metadata_) {
      key_ = std::move(name);
      if (header_.metadata.contains(key_)) fail(fmt::format("{} has {} twice", subject(), quote(key_)));
    } else {
      start_field(std::move(name));
    }
  }

  void value(JsonScalar scalar) override {
    using Kind = JsonScalar::Kind;
    if (depth_ == 1) fail(fmt::format("{} is no object", subject()));
    if (in_metadata_) {
      if (scalar.kind != Kind::kText) fail(fmt::format("{} of {} is not a string", quote(key_), subject()));
      header_.metadata.emplace(std::move(key_), std::move(scalar.text));
    } else if (depth_ == 3) {
      number(scalar);
    } else if (field_ == kDtype && scalar.kind == Kind::kText) {
      const std::optional<SafetensorsDtype> dtype = find_safetensors_dtype(scalar.text);
      if (!dtype) {
        fail(fmt::format("{} has dtype {}; the known dtypes are {}", subject(), quote(scalar.text),
                         safetensors_dtype_names()));
      }
      entry().dtype = *dtype;
    } else {
      fail(fmt::format("{} of {} is {}", quote(key_), subject(), wanted(false)));
    }
  }

 private:
  enum Field { kNone = 0, kDtype = 1, kShape = 2, kOffsets = 4 };

  [[noreturn]] void fail(const std::string& what) const { throw DataError(fmt::format("{}: {}", where_, what)); }

  SafetensorsEntry& entry() { return header_.entries.back(); }

  std::string subject() const { return in_metadata_ ? "the metadata" : "tensor " + quote(header_.entries.back().name); }

  // Returns, for messages, how the value at hand differs from what its field holds.
  std::string wanted(bool is_object) const {
    if (in_metadata_) return is_object ? "an object, expected a string" : "an array, expected a string";
    return field_ == kDtype ? "not a string" : "not an array of whole numbers";
  }

  void start_entry(std::string&& name) {
    in_metadata_ = name == kMetadata;
    if (!in_metadata_) {
      header_.entries.emplace_back().name = std::move(name);
    } else if (std::exchange(has_metadata_, true)) {
      fail("\"__metadata__\" comes twice");
    }
  }

  void start_field(std::string&& name) {
    key_ = std::move(name);
    field_ = key_ == "dtype" ? kDtype : key_ == "shape" ? kShape : key_ == "data_offsets" ? kOffsets : kNone;
    if (field_ == kNone) {
      fail(fmt::format("{} has the key {}; expected dtype, shape and data_offsets", subject(), quote(key_)));
    }
    if (fields_ & field_) fail(fmt::format("{} has {} twice", subject(), quote(key_)));
    fields_ |= field_;
    offsets_ = 0;
  }

  void number(const JsonScalar& scalar) {
    if (scalar.kind != JsonScalar::Kind::kWhole || scalar.whole > std::numeric_limits<int64_t>::max()) {
      fail(fmt::format("{} of {} holds something else than whole numbers from 0 to 2^63 - 1", quote(key_), subject()));
    }
    if (field_ == kShape) {
      entry().shape.push_back(static_cast<int64_t>(scalar.whole));
      if (entry().shape.size() > kMaxTensorDims) {
        fail(fmt::format("{} has more than {} dimensions", subject(), kMaxTensorDims));
      }
    } else {
      if (offsets_ < 2) (offsets_ == 0 ? entry().begin : entry().end) = scalar.whole;
      ++offsets_;
    }
  }

  void finish_tensor() {
    for (const auto& [field, name] : {std::pair(kDtype, "dtype"), {kShape, "shape"}, {kOffsets, "data_offsets"}}) {
      if (!(fields_ & field)) fail(fmt::format("{} has no \"{}\"", subject(), name));
    }
    const SafetensorsEntry& done = entry();
    const std::string of_shape = fmt::format("{} with shape {}", safetensors_name(done.dtype), shape_text(done.shape));
    const std::optional<uint64_t> bytes = safetensors_bytes(done.dtype, done.shape);
    if (!bytes) fail(fmt::format("{} is {}, whose size overflows or is no number of whole bytes", subject(), of_shape));
    if (done.begin > done.end || done.end - done.begin != *bytes) {
      fail(fmt::format("{} has data_offsets [{}, {}], but {} takes {} bytes", subject(), done.begin, done.end, of_shape,
                       *bytes));
    }
  }

  SafetensorsHeader& header_;
  const std::string& where_;
  int depth_ = 0;
  bool in_metadata_ = false;
  bool has_metadata_ = false;
  std::string key_;
  Field field_ = kNone;
  int fields_ = 0;        // which fields of the present tensor came
  uint64_t offsets_ = 0;  // numbers of its data_offsets so far
};

// Checks that no name comes twice.
void check_names(const SafetensorsHeader& header, const std::string& where) {
  std::vector<std::string_view> names;
  names.reserve(header.entries.size());
  for (const SafetensorsEntry& entry : header.entries) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw DataError(fmt::format("{}: it holds tensor {} twice", where, quote(*twice)));
}

// Checks that the tensors, which are sorted, cover the data.
void check_cover(const SafetensorsHeader& header, uint64_t data_bytes, const std::string& where) {
  uint64_t at = 0;
  std::string before = "the data begins";
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.begin != at) {
      throw DataError(fmt::format("{}: tensor {} begins at byte {} of the data, but {} at byte {}: {}", where,
                                  quote(entry.name), entry.begin, before, at,
                                  entry.begin < at ? "they overlap" : "there is a hole"));
    }
    at = entry.end;
    before = fmt::format("tensor {} ends", quote(entry.name));
    if (at > data_bytes) {
      throw DataError(fmt::format("{}: tensor {} ends at byte {} of the data, but the file has {} bytes of data", where,
                                  quote(entry.name), at, data_bytes));
    }
  }
  if (at != data_bytes) {
    throw DataError(fmt::format("{}: it has {} bytes of data, but its tensors end at byte {}", where, data_bytes, at));
  }
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes, const std::string& where) {
  if (!text.starts_with('{')) {
    throw DataError(fmt::format("{}: its header begins with {}, expected \"{{\"", where, quote(text.substr(0, 1))));
  }
  SafetensorsHeader header;
  HeaderEvents events(header, where);
  read_json_object(text, kDepth, where + ": its header", events);
  check_names(header, where);
  std::sort(header.entries.begin(), header.entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_cover(header, data_bytes, where);
  return header;
}

}  // namespace terse
