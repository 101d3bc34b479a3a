// Sorts the tensors, writes the header as JSON without spaces, and pads it to 8 bytes.
#include "base/formats/safetensors/writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <tuple>

#include "base/errors.h"
#include "base/formats/safetensors/file.h"
#include "base/formats/safetensors/folder.h"
#include "base/formats/tensor_shape.h"
#include "base/utf8.h"

namespace terse {

namespace {

constexpr size_t kHeaderAlignment = 8;

uint64_t bytes_of(const SafetensorsSpec& spec) {
  const std::optional<uint64_t> bytes = safetensors_bytes(spec.dtype, spec.shape);
  if (!bytes) {
    throw std::invalid_argument(fmt::format("tensor {} cannot be {} with shape {}", quote(spec.name),
                                            safetensors_name(spec.dtype), shape_text(spec.shape)));
  }
  return *bytes;
}

void check_names(const std::vector<SafetensorsSpec>& tensors) {
  std::vector<std::string_view> names;
  for (const SafetensorsSpec& spec : tensors) {
    if (spec.name == "__metadata__" || find_invalid_utf8(spec.name) != std::string_view::npos) {
      throw std::invalid_argument(fmt::format("no tensor can have the name {}", quote(spec.name)));
    }
    names.push_back(spec.name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) throw std::invalid_argument(fmt::format("tensor {} comes twice", quote(*twice)));
}

std::vector<SafetensorsSpec> sorted(std::vector<SafetensorsSpec> tensors) {
  check_names(tensors);
  std::sort(tensors.begin(), tensors.end(), [](const SafetensorsSpec& a, const SafetensorsSpec& b) {
    return std::tie(b.dtype, a.name) < std::tie(a.dtype, b.name);
  });
  return tensors;
}

std::string json_text(const std::string& text) {
  return nlohmann::json(text).dump();
}

// The length of the header and the header.
std::string head(const std::vector<SafetensorsSpec>& tensors, const SafetensorsMetadata& metadata) {
  std::vector<std::string> entries;
  if (!metadata.empty()) entries.push_back("\"__metadata__\":" + nlohmann::json(metadata).dump());
  uint64_t at = 0;
  for (const SafetensorsSpec& spec : tensors) {
    const uint64_t begin = at;
    at += bytes_of(spec);
    entries.push_back(fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", json_text(spec.name),
                                  safetensors_name(spec.dtype), fmt::join(spec.shape, ","), begin, at));
  }
  std::string header = fmt::format("{{{}}}", fmt::join(entries, ","));
  header.resize((header.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  if (header.size() > kMaxSafetensorsHeader) {
    throw std::invalid_argument(fmt::format("{} tensors take a header of {} bytes", tensors.size(), header.size()));
  }
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + header;
}

std::vector<StreamedTensor> streamed(const std::vector<SafetensorsSpec>& tensors) {
  std::vector<StreamedTensor> result;
  for (const SafetensorsSpec& spec : tensors) result.push_back({spec.name, bytes_of(spec)});
  return result;
}

}  // namespace

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::vector<SafetensorsSpec> tensors,
                                     const SafetensorsMetadata& metadata)
    : tensors_(sorted(std::move(tensors))), stream_(path, head(tensors_, metadata), streamed(tensors_), 1) {}

SafetensorsFolderWriter::SafetensorsFolderWriter(const std::filesystem::path& folder,
                                                 const std::vector<SafetensorsSpec>& tensors, uint64_t max_shard_bytes,
                                                 const SafetensorsMetadata& metadata)
    : folder_(folder), metadata_(metadata) {
  for (const char* name : {kSafetensorsFile, kSafetensorsIndex}) {
    if (posix_file_system()->kind(folder / name) != EntryKind::kNone) {
      throw ConfigError(fmt::format("{} already holds a model ({}); choose another folder", folder.string(), name));
    }
  }
  check_names(tensors);
  shards_.emplace_back();
  uint64_t room = max_shard_bytes;
  for (const SafetensorsSpec& spec : tensors) {
    const uint64_t bytes = bytes_of(spec);
    if (bytes > room && !shards_.back().tensors.empty()) {
      shards_.emplace_back();
      room = max_shard_bytes;
    }
    room -= std::min(bytes, room);
    shards_.back().tensors.push_back(spec);
  }
  for (size_t i = 0; i < shards_.size(); ++i) {
    Shard& shard = shards_[i];
    shard.file =
        shards_.size() == 1 ? kSafetensorsFile : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards_.size());
    shard.tensors = sorted(std::move(shard.tensors));
    for (const SafetensorsSpec& spec : shard.tensors) shard_of_.emplace(spec.name, i);
    tensors_.insert(tensors_.end(), shard.tensors.begin(), shard.tensors.end());
  }
  open_shard(0);
}

void SafetensorsFolderWriter::open_shard(size_t index) {
  present_ = index;
  Shard& shard = shards_[index];
  shard.writer = std::make_unique<SafetensorsWriter>(folder_ / shard.file, shard.tensors, metadata_);
}

void SafetensorsFolderWriter::write(std::string_view tensor, std::string_view bytes) {
  const auto found = shard_of_.find(tensor);
  if (found != shard_of_.end() && found->second == present_ + 1 && !bytes.empty()) {
    shards_[present_].writer->close();
    open_shard(present_ + 1);
  }
  shards_[present_].writer->write(tensor, bytes);
}

void SafetensorsFolderWriter::finish() {
  if (present_ + 1 < shards_.size()) {
    throw std::logic_error(fmt::format("{} of {} shards are begun", present_ + 1, shards_.size()));
  }
  shards_[present_].writer->close();
  for (Shard& shard : shards_) shard.writer->publish();
  if (shards_.size() > 1) write_durably(folder_ / kSafetensorsIndex, index_text());
}

std::string SafetensorsFolderWriter::index_text() const {
  nlohmann::json index;
  uint64_t total = 0;
  for (const SafetensorsSpec& spec : tensors_) total += bytes_of(spec);
  index["metadata"]["total_size"] = total;
  for (const auto& [name, shard] : shard_of_) index["weight_map"][name] = shards_[shard].file;
  return index.dump(2) + "\n";
}

}  // namespace terse
