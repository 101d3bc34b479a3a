// Converts manifests to text and back, with every check that needs no other file.
#include "checkpoints/format/manifest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/formats/tensor_shape.h"
#include "base/sha256.h"
#include "base/text/message_text.h"

namespace terse::checkpoints {

namespace {

using nlohmann::json;

constexpr int64_t kFormat = 1;
constexpr size_t kMaxTextName = 100;  // of a text file, bytes

[[noreturn]] void fail(const std::string& what) {
  throw DataError(what);
}

const json& field(const json& object, const char* key, const std::string& where) {
  if (!object.is_object()) fail(fmt::format("{} is not an object", where));
  const auto found = object.find(key);
  if (found == object.end()) fail(fmt::format("{} has no \"{}\"", where, key));
  return *found;
}

std::string text_field(const json& object, const char* key, const std::string& where) {
  const json& value = field(object, key, where);
  if (!value.is_string()) fail(fmt::format("\"{}\" of {} is not a string", key, where));
  return value.get<std::string>();
}

int64_t count(const json& value, const std::string& what) {
  const bool fits = value.is_number_unsigned() && value.get<uint64_t>() <= std::numeric_limits<int64_t>::max();
  if (!fits) fail(fmt::format("{} is not a whole number from 0 to 2^63 - 1", what));
  return value.get<int64_t>();
}

int64_t count_field(const json& object, const char* key, const std::string& where) {
  return count(field(object, key, where), fmt::format("\"{}\" of {}", key, where));
}

const json& list_field(const json& object, const char* key) {
  const json& value = field(object, key, "the manifest");
  if (!value.is_array()) fail(fmt::format("\"{}\" is not an array", key));
  return value;
}

// The largest size of a file of this name; nullopt when no file of a checkpoint has such a name.
std::optional<uint64_t> largest_size(const std::string& name) {
  if (name == kExtraName) return kMaxExtraBytes;
  if (is_shard_name(name)) return kMaxShardBytes;
  if (is_text_name(name)) return kMaxTextBytes;
  return std::nullopt;
}

FileEntry parse_file(const json& item, size_t index) {
  const std::string where = fmt::format("file {}", index);
  FileEntry file;
  file.name = text_field(item, "name", where);
  const std::optional<uint64_t> known = largest_size(file.name);
  if (!known) {
    fail(
        fmt::format("the name of {} is {}, expected {}, a shard such as rank-0.h5, or a plain name such as config.json",
                    where, json(file.name).dump(), kExtraName));
  }
  const uint64_t cap = *known;
  file.bytes = static_cast<uint64_t>(count_field(item, "bytes", file.name));
  if (file.bytes > cap) {
    fail(fmt::format("the size of {} is {}, expected at most {}", file.name, format_bytes(file.bytes),
                     format_bytes(cap)));
  }
  file.sha256 = text_field(item, "sha256", file.name);
  const bool is_hash =
      file.sha256.size() == 64 && file.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_hash) fail(fmt::format("\"sha256\" of {} is not 64 lower-case hex digits", file.name));
  return file;
}

Piece parse_piece(const json& item, size_t index) {
  Piece piece;
  piece.name = text_field(item, "name", fmt::format("tensor {}", index));
  const std::string where = fmt::format("tensor {}", json(piece.name).dump());
  const std::string dtype = text_field(item, "dtype", where);
  piece.dtype = find_dtype(dtype);
  if (piece.dtype == nullptr)
    fail(fmt::format("{} has dtype {}; the known dtypes are {}", where, json(dtype).dump(), dtype_names()));
  const json& shape = field(item, "shape", where);
  if (!shape.is_array() || shape.size() > kMaxTensorDims) {
    fail(fmt::format("\"shape\" of {} is not an array of at most {} sizes", where, kMaxTensorDims));
  }
  for (const json& size : shape) piece.shape.push_back(count(size, "a size of " + where));
  piece.begin = count_field(item, "begin", where);
  piece.end = count_field(item, "end", where);
  const std::optional<int64_t> elements = element_count(piece.shape);
  if (!elements)
    fail(fmt::format("the number of elements in shape [{}] of {} overflows", fmt::join(piece.shape, ", "), where));
  if (piece.begin > piece.end || piece.end > *elements) {
    fail(fmt::format("{} has a piece with elements {} to {}, but its shape has {} elements", where, piece.begin,
                     piece.end, *elements));
  }
  return piece;
}

// Shards are not compressed, so a file must be large enough for the tensors that it declares. This is checked before
// any memory is allocated for them.
void check_sizes(const FileEntry& file) {
  uint64_t room = file.bytes;
  std::vector<std::string> names;
  for (const Piece& piece : file.pieces) {
    const auto bytes = static_cast<uint64_t>(piece.dtype->bytes);
    if (static_cast<uint64_t>(piece.elements()) > room / bytes) {
      fail(fmt::format("{} has {} bytes, too few for its tensors up to {}", file.name, file.bytes, piece.name));
    }
    room -= piece.bytes();
    names.push_back(piece.name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) fail(fmt::format("{} contains tensor {} twice", file.name, *twice));
}

// "(in rank-0.h5 and rank-1.h5)"
std::string in_files(const std::string& a, const std::string& b) {
  return a == b ? fmt::format("(in {})", a) : fmt::format("(in {} and {})", a, b);
}

void add_files(const std::vector<FileEntry>& files, nlohmann::ordered_json& document) {
  auto entries = nlohmann::ordered_json::array();
  auto tensors = nlohmann::ordered_json::array();
  for (const FileEntry& file : files) {
    entries.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
    for (const Piece& piece : file.pieces) {
      tensors.push_back({{"name", piece.name},
                         {"dtype", piece.dtype->name},
                         {"shape", piece.shape},
                         {"begin", piece.begin},
                         {"end", piece.end},
                         {"file", file.name}});
    }
  }
  document["files"] = std::move(entries);
  document["tensors"] = std::move(tensors);
}

std::vector<FileEntry> parse_file_lists(const json& document) {
  std::vector<FileEntry> files;
  std::map<std::string, size_t> index;
  size_t texts = 0;
  for (const json& item : list_field(document, "files")) {
    FileEntry file = parse_file(item, files.size());
    if (!index.emplace(file.name, files.size()).second) fail(fmt::format("it lists {} twice", file.name));
    if (is_text_name(file.name) && ++texts > kMaxTextFiles) {
      fail(fmt::format("it lists more than {} text files: {} is one too many", kMaxTextFiles, file.name));
    }
    files.push_back(std::move(file));
  }
  size_t number = 0;
  for (const json& item : list_field(document, "tensors")) {
    Piece piece = parse_piece(item, number++);
    const std::string name = text_field(item, "file", "tensor " + piece.name);
    const auto found = index.find(name);
    if (found == index.end() || !is_shard_name(name)) {
      fail(fmt::format("the file of tensor {} is {}, which is not a listed shard", piece.name, json(name).dump()));
    }
    files[found->second].pieces.push_back(std::move(piece));
  }
  for (const FileEntry& file : files) check_sizes(file);
  return files;
}

CheckpointInfo parse_info(const json& document) {
  const std::string where = "the manifest";
  CheckpointInfo info;
  info.step = count_field(document, "step", where);
  info.stage = text_field(document, "stage", where);
  info.config_hash = text_field(document, "config_hash", where);
  const json& score = field(document, "score", where);
  if (!score.is_number() && !score.is_null()) fail("\"score\" of the manifest is neither a number nor null");
  info.score = score.is_null() ? std::numeric_limits<double>::quiet_NaN() : score.get<double>();
  return info;
}

}  // namespace

bool is_shard_name(std::string_view name) {
  if (!name.starts_with("rank-") || !name.ends_with(".h5")) return false;
  name.remove_prefix(5);
  name.remove_suffix(3);
  const auto is_number = [](std::string_view text) {
    return !text.empty() && text.size() <= 9 && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return is_number(name);
  return is_number(name.substr(0, dot)) && is_number(name.substr(dot + 1));
}

bool is_text_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  if (name.empty() || name.size() > kMaxTextName || name[0] == '.') return false;
  if (!std::all_of(name.begin(), name.end(), allowed)) return false;
  if (name.starts_with("rank-") || name.starts_with("MANIFEST")) return false;
  return name != kExtraName && name != "latest";
}

std::string manifest_text(const Manifest& manifest) {
  nlohmann::ordered_json document;
  document["format"] = kFormat;
  document["step"] = manifest.info.step;
  document["stage"] = manifest.info.stage;
  document["config_hash"] = manifest.info.config_hash;
  document["score"] = nullptr;
  if (std::isfinite(manifest.info.score)) document["score"] = manifest.info.score;
  document["created"] = manifest.created;
  document["terse"] = manifest.version;
  add_files(manifest.files, document);
  return document.dump(1) + "\n";
}

std::string files_text(const std::vector<FileEntry>& files) {
  nlohmann::ordered_json document;
  add_files(files, document);
  return document.dump();
}

std::string manifest_hash_text(std::string_view text) {
  return fmt::format("{}  {}\n", sha256_bytes(text), kManifestName);
}

json parse_json(std::string_view text) {
  const auto check_depth = [](int depth, json::parse_event_t, json&) {
    if (depth > kMaxJsonDepth) fail(fmt::format("it is nested more than {} levels deep", kMaxJsonDepth));
    return true;
  };
  try {
    return json::parse(text, check_depth);
  } catch (const json::exception& error) {
    fail(fmt::format("it is not JSON: {}", message_text(error.what())));
  }
}

Manifest parse_manifest(std::string_view text) {
  const json document = parse_json(text);
  const int64_t format = count_field(document, "format", "the manifest");
  if (format != kFormat) fail(fmt::format("its format is {}, this program reads format {}", format, kFormat));
  Manifest manifest;
  manifest.info = parse_info(document);
  manifest.created = text_field(document, "created", "the manifest");
  manifest.version = text_field(document, "terse", "the manifest");
  manifest.files = parse_file_lists(document);
  const bool has_extra = std::any_of(manifest.files.begin(), manifest.files.end(),
                                     [](const FileEntry& file) { return file.name == kExtraName; });
  if (!has_extra) fail(fmt::format("it lists no {}", kExtraName));
  check_joins(manifest.files, /*whole=*/false);
  return manifest;
}

std::vector<FileEntry> parse_files(std::string_view text) {
  return parse_file_lists(parse_json(text));
}

void check_joins(const std::vector<FileEntry>& files, bool whole) {
  struct Part {
    const Piece* piece;
    const FileEntry* file;
  };
  std::map<std::string, std::vector<Part>> tensors;
  for (const FileEntry& file : files) {
    for (const Piece& piece : file.pieces) tensors[piece.name].push_back({&piece, &file});
  }
  for (auto& [name, parts] : tensors) {
    std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
      return std::pair(a.piece->begin, a.piece->end) < std::pair(b.piece->begin, b.piece->end);
    });
    for (size_t i = 1; i < parts.size(); ++i) {
      const Piece& before = *parts[i - 1].piece;
      const Piece& piece = *parts[i].piece;
      const std::string where = in_files(parts[i - 1].file->name, parts[i].file->name);
      if (piece.dtype != before.dtype || piece.shape != before.shape) {
        fail(fmt::format("tensor {} has pieces of different dtypes or shapes {}", name, where));
      }
      if (piece.begin != before.end) {
        fail(fmt::format("tensor {}: a piece ends at element {} and the next begins at {} {}", name, before.end,
                         piece.begin, where));
      }
    }
    const Piece& first = *parts.front().piece;
    const Piece& last = *parts.back().piece;
    const int64_t elements = element_count(first.shape).value();
    if (whole && (first.begin != 0 || last.end != elements)) {
      fail(fmt::format("tensor {}: its pieces cover elements {} to {} of {} {}", name, first.begin, last.end, elements,
                       in_files(parts.front().file->name, parts.back().file->name)));
    }
  }
}

}  // namespace terse::checkpoints
