// Finding the newest checkpoint that every rank can use.
#pragma once

#include "checkpoints/reader.h"

namespace terse::checkpoints {

// Store::load_latest on any Io. With share.ranks > 1 every rank calls it with the same `dir` and an `exchange`, and all
// return the same checkpoint or throw.
std::optional<Store::Loaded> load_latest(Io& io, const Io::Path& dir, const LoadShare& share = {},
                                         const Exchange& exchange = {});

}  // namespace terse::checkpoints
