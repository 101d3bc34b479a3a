// Finds the newest checkpoint that every rank can use.
#pragma once

#include "checkpoints/reader.h"

namespace terse::checkpoints {

// Store::load_latest on any FileSystem. With share.ranks > 1, every rank calls it with the same `dir` and an
// `exchange`, and all ranks return the same checkpoint or throw.
std::optional<Store::Loaded> load_latest(FileSystem& fs, const FileSystem::Path& dir, const LoadShare& share = {},
                                         const Exchange& exchange = {});

}  // namespace terse::checkpoints
