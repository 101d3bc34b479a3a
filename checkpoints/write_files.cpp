// Hashes what it writes while it is in memory.
#include "checkpoints/write_files.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "base/sha256.h"

namespace terse::checkpoints {

namespace {

FileEntry write_hashed(FileSystem& fs, const FileSystem::Path& folder, const std::string& name,
                       std::string_view bytes) {
  write_file(fs, folder / name, bytes);
  return {name, bytes.size(), sha256_bytes(bytes), {}};
}

}  // namespace

std::vector<FileEntry> write_shards(FileSystem& fs, const FileSystem::Path& folder, int rank,
                                    const std::vector<std::vector<Piece>>& plan, const PieceSource& source) {
  std::vector<FileEntry> files;
  for (size_t i = 0; i < plan.size(); ++i) {
    std::vector<PieceData> pieces;
    for (const Piece& piece : plan[i]) pieces.push_back({piece, source(piece)});
    const ShardImage image = build_shard(pieces);
    const std::string name = plan.size() == 1 ? fmt::format("rank-{}.h5", rank) : fmt::format("rank-{}.{}.h5", rank, i);
    files.push_back(write_hashed(fs, folder, name, image.bytes()));
    files.back().pieces = plan[i];
  }
  return files;
}

void write_manifest(FileSystem& fs, const FileSystem::Path& folder, const SaveRequest& request,
                    std::vector<FileEntry> shards) {
  Manifest manifest{request.info, utc_now(), TERSE_VERSION, std::move(shards)};
  manifest.files.push_back(write_hashed(fs, folder, kExtraName, request.extra));
  for (const auto& [name, text] : request.files) manifest.files.push_back(write_hashed(fs, folder, name, text));
  const std::string text = manifest_text(manifest);
  write_file(fs, folder / kManifestName, text);
  write_file(fs, folder / kManifestHashName, manifest_hash_text(text));
  fs.sync_folder(folder);
}

}  // namespace terse::checkpoints
