// Describes the files that one rank writes in a save.
#pragma once

#include <exception>
#include <map>
#include <string>
#include <vector>

#include "checkpoints/format/manifest.h"

namespace terse::checkpoints {

// A state that has passed the checks of make_request().
struct SaveRequest {
  CheckpointInfo info = {};
  std::map<std::string, Shard> tensors = {};
  std::string extra = {};                         // JSON text
  std::map<std::string, std::string> files = {};  // texts by name
  // Why this rank of several has no state to write. The save then fails on all ranks.
  std::exception_ptr refusal = {};
  // How often the save of this step has begun, this time included. It tells the ranks' files of one save from those of
  // another.
  int64_t attempt = 1;
};

// Checks the state and prepares it for writing. Throws std::invalid_argument, which names what cannot be stored
// exactly.
SaveRequest make_request(const CheckpointInfo& info, const StateDict& state);

// Throws DiskError when the free space in `folder` is clearly too small for the request. The message says
// "not enough free space<purpose> in <folder>".
void require_room(FileSystem& fs, const FileSystem::Path& folder, const SaveRequest& request,
                  const std::string& purpose = "");

// Returns what the request holds of each tensor, in the order of their names.
std::vector<Piece> pieces_of(const SaveRequest& request);

// Assigns tensors, or what there is of them, to shard files: in their order, files filled up to about `shard_bytes`.
std::vector<std::vector<Piece>> plan_shards(const std::vector<Piece>& tensors, uint64_t shard_bytes);

}  // namespace terse::checkpoints
