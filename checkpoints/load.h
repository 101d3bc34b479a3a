// Loads a checkpoint that every rank can use: the newest one, or a given one.
#pragma once

#include "checkpoints/reader.h"

namespace terse::checkpoints {

// Store::load_latest on any FileSystem. With share.ranks > 1, every rank calls it with the same `dir` and an
// `exchange`, and all ranks return the same checkpoint or throw.
std::optional<Store::Loaded> load_latest(FileSystem& fs, const FileSystem::Path& dir, const LoadShare& share = {},
                                         const Exchange& exchange = {});
// The same for one checkpoint folder. Throws DataError when it does not verify.
Store::Loaded load(FileSystem& fs, const FileSystem::Path& checkpoint, const LoadShare& share,
                   const Exchange& exchange);

}  // namespace terse::checkpoints
