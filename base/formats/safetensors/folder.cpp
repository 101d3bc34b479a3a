// Opens the files that the index names, and compares the index with what they hold.
#include "base/formats/safetensors/folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/errors.h"
#include "base/file_system.h"
#include "base/formats/strict_json.h"
#include "base/formats/tensor_shape.h"

namespace terse {

namespace {

constexpr int kIndexDepth = 16;
constexpr std::string_view kExtension = ".safetensors";
constexpr size_t kLongestName = 255;  // bytes that a file system allows
constexpr size_t kMostNamed = 5;      // missing shards in a message

// Follows an index: {"metadata": anything, "weight_map": {"TENSOR": "SHARD", ...}}.
class IndexEvents : public JsonEvents {
 public:
  IndexEvents(SafetensorsIndex& index, const std::string& where) : index_(index), where_(where) {}

  void begin(bool is_object) override {
    ++depth_;
    if (!in_map_) return;
    if (depth_ != 2) fail(fmt::format("the shard of tensor {} is not a string", quote(key_)));
    if (!is_object) fail("\"weight_map\" is not an object");
    has_map_ = true;
  }
  void end() override {
    --depth_;
    if (depth_ == 0 && !has_map_) fail("it has no \"weight_map\"");
  }
  void key(std::string name) override {
    if (depth_ == 1) {
      in_map_ = name == "weight_map";
      if (!keys_.insert(std::move(name)).second) fail("a key of the index comes twice");
    } else if (in_map_) {
      key_ = std::move(name);
      if (index_.contains(key_)) fail(fmt::format("\"weight_map\" has tensor {} twice", quote(key_)));
    }
  }
  void value(JsonScalar scalar) override {
    if (!in_map_) return;
    if (depth_ == 1) fail("\"weight_map\" is not an object");
    if (scalar.kind != JsonScalar::Kind::kText) {
      fail(fmt::format("the shard of tensor {} is not a string", quote(key_)));
    }
    // A name with a separator could lead out of the folder.
    const bool is_plain = scalar.text.size() > kExtension.size() && scalar.text.size() <= kLongestName &&
                          scalar.text.ends_with(kExtension) &&
                          scalar.text.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    if (!is_plain) {
      fail(fmt::format("the shard of tensor {} is {}, expected a plain name that ends with \"{}\"", quote(key_),
                       quote(scalar.text), kExtension));
    }
    index_.emplace(key_, std::move(scalar.text));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw DataError(fmt::format("{}: {}", where_, what)); }

  SafetensorsIndex& index_;
  const std::string& where_;
  std::set<std::string> keys_;  // of the index itself
  std::string key_;             // the present tensor
  int depth_ = 0;
  bool in_map_ = false;
  bool has_map_ = false;
};

SafetensorsIndex read_index(const std::filesystem::path& path) {
  const MappedFile file(path);
  if (file.bytes().size() > kMaxSafetensorsIndex) {
    throw DataError(fmt::format("{}: it has {} bytes, expected at most {}", path.string(), file.bytes().size(),
                                kMaxSafetensorsIndex));
  }
  return parse_safetensors_index(file.bytes(), path.string());
}

bool is_there(const std::filesystem::path& path) {
  return posix_file_system()->kind(path) != EntryKind::kNone;
}

std::string_view name_of(const SafetensorsFolder::Located& located) {
  return located.tensor->name;
}

}  // namespace

SafetensorsIndex parse_safetensors_index(std::string_view text, const std::string& where) {
  SafetensorsIndex index;
  IndexEvents events(index, where);
  read_json_object(text, kIndexDepth, where, events);
  return index;
}

SafetensorsFolder::SafetensorsFolder(const std::filesystem::path& folder) : folder_(folder) {
  const bool has_file = is_there(folder / kSafetensorsFile);
  const bool has_index = is_there(folder / kSafetensorsIndex);
  if (has_file && has_index) {
    throw DataError(fmt::format("{}: it holds both {} and {}, expected one of them", folder.string(), kSafetensorsFile,
                                kSafetensorsIndex));
  }
  if (!has_file && !has_index) {
    throw DataError(fmt::format("{}: it holds no weights, expected {} or {}", folder.string(), kSafetensorsFile,
                                kSafetensorsIndex));
  }
  source_ = folder / (has_file ? kSafetensorsFile : kSafetensorsIndex);
  if (has_file) {
    files_.emplace_back(source_);
  } else {
    open_shards();
  }
  for (const SafetensorsFile& file : files_) {
    for (const SafetensorsTensor& tensor : file.tensors()) tensors_.push_back({&file, &tensor});
  }
  std::sort(tensors_.begin(), tensors_.end(),
            [](const Located& a, const Located& b) { return name_of(a) < name_of(b); });
}

void SafetensorsFolder::open_shards() {
  const SafetensorsIndex index = read_index(source_);
  std::set<std::string> names;
  for (const auto& [tensor, shard] : index) names.insert(shard);
  std::vector<std::string> missing;
  for (const std::string& name : names) {
    if (!is_there(folder_ / name)) missing.push_back(quote(name));
  }
  if (!missing.empty()) {
    const size_t count = missing.size();
    missing.resize(std::min(count, kMostNamed));
    throw DataError(fmt::format("{}: {} of {} shards are missing in its folder: {}{}", source_.string(), count,
                                names.size(), fmt::join(missing, ", "), count > kMostNamed ? ", ..." : ""));
  }
  std::map<std::string_view, const SafetensorsFile*> files;
  for (const std::string& name : names) {
    const SafetensorsFile& file = files_.emplace_back(folder_ / name);
    files.emplace(name, &file);
    for (const SafetensorsTensor& tensor : file.tensors()) {
      const auto listed = index.find(tensor.name);
      if (listed != index.end() && listed->second == name) continue;
      throw DataError(fmt::format("{}: it holds tensor {}, which {} {}", file.name(), quote(tensor.name),
                                  source_.string(),
                                  listed == index.end() ? "does not list" : "places in " + quote(listed->second)));
    }
  }
  for (const auto& [tensor, shard] : index) {
    if (files.at(shard)->find(tensor) != nullptr) continue;
    throw DataError(fmt::format("{}: it places tensor {} in {}, which does not hold it", source_.string(),
                                quote(tensor), quote(shard)));
  }
}

SafetensorsFolder::Located SafetensorsFolder::find(std::string_view tensor) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), tensor,
                       [](const Located& located, std::string_view name) { return name_of(located) < name; });
  return found != tensors_.end() && name_of(*found) == tensor ? *found : Located{};
}

SafetensorsFolder::Located SafetensorsFolder::tensor(std::string_view tensor) const {
  const Located found = find(tensor);
  if (found.tensor == nullptr)
    throw DataError(fmt::format("{}: it holds no tensor {}", source_.string(), quote(tensor)));
  return found;
}

}  // namespace terse
