// One save: the only way in which a checkpoint gets onto the disk.
#pragma once

#include "checkpoints/save_request.h"
#include "checkpoints/temporary_names.h"

namespace terse::checkpoints {

// Saves a checkpoint in `dir`, alone or together with the other ranks of `options`. Every rank calls it with its own
// request. `options.fs` must be set. Returns when the checkpoint is in place, `latest` points to it and rank 0 has
// pruned.
//
// When the save fails, its files are removed as far as the disk allows; `names` remembers the rest. One rank throws the
// error itself: DiskError, or what LibTorch and HDF5 throw. Several ranks all throw the same failure, in a type of
// with_context(): DiskError naming the rank and the file, or std::invalid_argument for what cannot be stored, for
// example pieces of a tensor that leave a gap. Store::save() states the exception.
void save_checkpoint(const FileSystem::Path& dir, const StoreOptions& options, TemporaryNames& names,
                     const SaveRequest& request);

}  // namespace terse::checkpoints
