// MANIFEST.json lists the content of a checkpoint folder, with the size and hash of every file. MANIFEST.sha256 holds
// the hash of the manifest itself in the format of `sha256sum --check`, so every byte of the folder is covered.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoints/format/shard_file.h"
#include "checkpoints/store.h"

namespace terse::checkpoints {

constexpr char kManifestName[] = "MANIFEST.json";
constexpr char kManifestHashName[] = "MANIFEST.sha256";
constexpr char kExtraName[] = "extra.json";

// Limits for what is read into memory before it is checked.
constexpr uint64_t kMaxManifestBytes = 64u << 20;
constexpr uint64_t kMaxExtraBytes = 1u << 30;
constexpr uint64_t kMaxShardBytes = 2u << 30;
constexpr uint64_t kMaxTextBytes = 64u << 20;  // of one text file
constexpr size_t kMaxTextFiles = 16;           // of one checkpoint
constexpr int kMaxJsonDepth = 64;

struct FileEntry {
  std::string name;  // in the checkpoint folder
  uint64_t bytes = 0;
  std::string sha256;
  std::vector<Piece> pieces;  // of a shard file, in the order of the file
};

struct Manifest {
  CheckpointInfo info;
  std::string created;  // UTC, ISO 8601
  std::string version;  // of terse
  std::vector<FileEntry> files;
};

// The text of MANIFEST.json.
std::string manifest_text(const Manifest& manifest);
// The list of files alone, in the same form. A rank reports its own files this way.
std::string files_text(const std::vector<FileEntry>& files);
// The content of MANIFEST.sha256 for this manifest.
std::string manifest_hash_text(std::string_view text);
// Parses the manifest and checks everything that needs no other file: types, ranges, file names without folders, and
// pieces that fit their tensors and files and join without gaps. Throws DataError with the value found and the value
// expected.
Manifest parse_manifest(std::string_view text);
// The same checks for the text of files_text(), except that the pieces of a tensor need not join yet.
std::vector<FileEntry> parse_files(std::string_view text);

// Throws DataError, which names the tensor and files, when the pieces of a tensor overlap, leave a gap, or differ in
// dtype or shape. With `whole`, it also throws when they do not cover the whole tensor.
void check_joins(const std::vector<FileEntry>& files, bool whole);

// Parses JSON of at most kMaxJsonDepth levels; throws DataError.
nlohmann::json parse_json(std::string_view text);
// Whether a shard file may have this name: "rank-0.h5" or, when a rank has several, "rank-0.3.h5".
bool is_shard_name(std::string_view name);
// Whether a text file of a state (StateDict::files) may have this name: letters, digits, '.', '_' and '-', at most 100,
// not beginning with a dot. No such name can be that of any other file of a checkpoint, or begin like one.
bool is_text_name(std::string_view name);

}  // namespace terse::checkpoints
