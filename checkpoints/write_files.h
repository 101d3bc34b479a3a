// Writes the files of a checkpoint into a folder, and notes their sizes and hashes.
#pragma once

#include <functional>
#include <vector>

#include "checkpoints/save_request.h"

namespace terse::checkpoints {

// Returns the elements of a piece, on any device, with any shape and strides.
using PieceSource = std::function<torch::Tensor(const Piece& piece)>;

// Writes one shard file for each list of `plan`, syncs each, and returns their entries. No more than one file is in
// memory. Throws DiskError.
std::vector<FileEntry> write_shards(FileSystem& fs, const FileSystem::Path& folder, int rank,
                                    const std::vector<std::vector<Piece>>& plan, const PieceSource& source);

// Adds extra.json, the text files of the request and a manifest of them and `shards`, and syncs `folder`. Throws
// DiskError.
void write_manifest(FileSystem& fs, const FileSystem::Path& folder, const SaveRequest& request,
                    std::vector<FileEntry> shards);

}  // namespace terse::checkpoints
