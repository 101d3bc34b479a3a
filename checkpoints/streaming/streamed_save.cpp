// The files are those that a save by one rank writes.
#include "checkpoints/streaming/streamed_save.h"

namespace terse::checkpoints {

void save_streamed(FileSystem& fs, const FileSystem::Path& folder, const CheckpointInfo& info,
                   const StateDict& description, const std::vector<Piece>& tensors, const PieceSource& source,
                   uint64_t shard_bytes) {
  const SaveRequest request = make_request(info, description);
  std::vector<FileEntry> shards = write_shards(fs, folder, 0, plan_shards(tensors, shard_bytes), source);
  write_manifest(fs, folder, request, std::move(shards));
}

}  // namespace terse::checkpoints
