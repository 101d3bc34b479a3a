// The steps of a save, which are the same for one rank and for many.
//
// The files are written into a folder with a temporary name. The folder gets its final name only when it is complete:
// every rank has synced and reported its files, and rank 0 has added the manifest. So a process that is killed at any
// moment leaves no incomplete checkpoint behind.
#include "checkpoints/save.h"

#include <fmt/format.h>

#include "checkpoints/failure.h"
#include "checkpoints/retention.h"
#include "checkpoints/save_coordinator.h"
#include "checkpoints/write_files.h"

namespace terse::checkpoints {

namespace {

// The elements of a piece, without a copy when the tensor is contiguous.
torch::Tensor flat_part(const Shard& shard, const Piece& piece) {
  return shard.data.detach().reshape({-1}).slice(0, piece.begin - shard.begin, piece.end - shard.begin);
}

// Writes the tensors into this rank's files in `folder`, and returns their entries.
std::vector<FileEntry> write_own_shards(const FileSystem::Path& folder, const StoreOptions& options,
                                        const SaveRequest& request) {
  const auto source = [&](const Piece& piece) { return flat_part(request.tensors.at(piece.name), piece); };
  return write_shards(*options.fs, folder, options.rank, plan_shards(pieces_of(request), options.shard_bytes), source);
}

// Renames the complete `folder` to dir/step-N, durably. Then replaces `latest` atomically: readers see the old line or
// the new one.
void publish(FileSystem& fs, const FileSystem::Path& dir, TemporaryNames& names, const FileSystem::Path& folder,
             int64_t step) {
  names.put_in_place(folder, dir / step_name(step));
  fs.sync_folder(dir);  // from here on the checkpoint exists
  const FileSystem::Path latest = dir / kLatestName;
  const FileSystem::Path temporary = names.add(temporary_name(latest));
  write_file(fs, temporary, step_name(step) + "\n");
  fs.rename(temporary, latest);
  fs.sync_folder(dir);
}

// Takes all steps on this rank. After a failure it leaves out the steps that remain, except that all ranks agree on the
// result and that the temporary files are removed.
void take_steps(const FileSystem::Path& dir, const StoreOptions& options, TemporaryNames& names,
                const SaveRequest& request) {
  FileSystem& fs = *options.fs;
  const bool alone = options.ranks == 1, leads = options.rank == 0;
  const int64_t step = request.info.step;
  const FileSystem::Path final = dir / step_name(step);
  // Several ranks have to use the same names, which they derive from what they all know.
  const std::string label = fmt::format("{}-{}", options.token, request.attempt);
  const FileSystem::Path folder = alone ? temporary_name(final) : shared_name(final, label + "-data");
  const FileSystem::Path messages = shared_name(final, label + "-talk");
  SaveCoordinator coordinator(options, folder, messages);
  std::exception_ptr failure;
  const auto attempt = [&](const std::string& where, const auto& action) {
    if (failure) return;
    try {
      action();
    } catch (...) {
      failure = alone ? std::current_exception() : with_context(std::current_exception(), where);
    }
  };
  const std::string here = fmt::format("rank {}: ", options.rank);

  attempt(here, [&] {
    if (leads) fs.make_folder(names.add(folder));
    coordinator.begin();
  });
  std::vector<FileEntry> shards;
  attempt(here, [&] {
    if (request.refusal) std::rethrow_exception(request.refusal);
    if (!alone) require_room(fs, folder, request);
    shards = write_own_shards(folder, options, request);
    if (!alone) fs.sync_folder(folder);  // each rank has to sync it, perhaps on a machine of its own
  });
  // Rank 0 waits here for the reports of the other ranks. Its error names the rank that failed.
  attempt("", [&] {
    if (leads) shards = coordinator.collect(std::move(shards));
  });
  attempt(here,
          [&] { leads ? write_manifest(fs, folder, request, std::move(shards)) : coordinator.prepare_report(shards); });
  // The files stay if the next step fails, because others may rely on them then.
  if (failure) coordinator.withdraw();
  attempt(here, [&] {
    if (!leads) return coordinator.report();
    publish(fs, dir, names, folder, step);
    prune(fs, dir, names, step, options.keep);
    names.clear();
  });
  coordinator.conclude(failure);
  if (leads && !alone) names.add(messages);
  // The files of a failed save go at once, not at the next start: on a full disk other writers need this space.
  names.try_clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void save_checkpoint(const FileSystem::Path& dir, const StoreOptions& options, TemporaryNames& names,
                     const SaveRequest& request) {
  try {
    take_steps(dir, options, names, request);
  } catch (...) {
    if (options.ranks == 1) throw;
    const std::string where = fmt::format("saving checkpoint {}: ", step_name(request.info.step));
    std::rethrow_exception(with_context(std::current_exception(), where));
  }
}

}  // namespace terse::checkpoints
