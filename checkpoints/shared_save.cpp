// The two sides of a save by several ranks.
//
// A checkpoint gets its name only when it is complete: publish() renames the data folder after every rank has synced
// and reported its files. So a process that is killed at any moment leaves no incomplete checkpoint behind.
#include "checkpoints/shared_save.h"

#include <fmt/format.h>

#include <cerrno>
#include <optional>

#include "checkpoints/meeting.h"
#include "checkpoints/retention.h"

namespace terse::checkpoints {

namespace {

// Removes the shards at once: on a full disk the other ranks need this space to write their reports.
void drop_files(FileSystem& fs, const FileSystem::Path& data, int rank) {
  try {
    for (const Entry& entry : fs.list(data)) {
      if (!entry.name.starts_with(rank_prefix(rank))) continue;
      try {
        fs.remove(data / entry.name);
      } catch (const DiskError&) {  // rank 0 removes the whole folder later
      }
    }
  } catch (const DiskError&) {
  }
}

void require_room(FileSystem& fs, const FileSystem::Path& dir, const SaveJob& job) {
  const uint64_t needed = needed_bytes(job);
  const uint64_t available = fs.free_bytes(dir);
  if (needed <= available) return;
  throw DiskError(fmt::format("not enough free space in {}: needed {}, free {}", dir.string(), format_bytes(needed),
                              format_bytes(available)),
                  ENOSPC);
}

std::vector<FileEntry> contribute(FileSystem& fs, const FileSystem::Path& data, int rank,
                                  const Contribution& contribution) {
  if (contribution.refusal) std::rethrow_exception(contribution.refusal);
  require_room(fs, data, contribution.job);
  std::vector<FileEntry> files = write_shards(fs, data, contribution.job, rank);
  fs.sync_folder(data);
  return files;
}

class SharedSaver {
 public:
  SharedSaver(FileSystem& fs, const FileSystem::Path& dir, const SharedSave& save, const Contribution& contribution)
      : fs_(fs),
        dir_(dir),
        save_(save),
        contribution_(contribution),
        data_(shared_name(dir / step_name(save.step), save.label + "-data")),
        talk_(shared_name(dir / step_name(save.step), save.label + "-talk")),
        meeting_(fs, talk_, data_, save.rank, save.ranks, save.deadline) {}

  void lead(Scratch& scratch) {
    scratch.adopt(data_);
    std::optional<Failure> failure;
    const auto proceed = [&](const std::string& where, const auto& action) {
      if (failure) return;
      try {
        action();
      } catch (...) {
        failure = failure_of(std::current_exception(), where);
      }
    };
    std::vector<FileEntry> files;
    proceed("rank 0: ", [&] { fs_.make_folder(data_), meeting_.open(); });
    if (failure) {  // no other rank has joined yet
      scratch.try_clear(fs_, dir_);
      raise(*failure);
    }
    proceed("rank 0: ", [&] { files = contribute(fs_, data_, 0, contribution_); });
    proceed("", [&] { join_reports(files); });
    proceed("rank 0: ", [&] { write_manifest(fs_, data_, contribution_.job, std::move(files)); });
    if (failure) drop_files(fs_, data_, 0);
    proceed("rank 0: ", [&] {
      publish(fs_, dir_, scratch, data_, save_.step);
      prune(fs_, dir_, scratch, save_.step, save_.keep);
      scratch.clear(fs_, dir_);
    });
    meeting_.announce(failure);
    scratch.adopt(talk_);
    scratch.try_clear(fs_, dir_);
    if (failure) raise(*failure);
  }

  void follow() {
    meeting_.join();
    std::optional<Failure> failure;
    bool relied_on = false;
    try {
      meeting_.prepare_report(contribute(fs_, data_, save_.rank, contribution_));
      relied_on = true;
      meeting_.report();
    } catch (...) {
      failure = failure_of(std::current_exception(), fmt::format("rank {}: ", save_.rank));
    }
    if (failure) {
      if (!relied_on) drop_files(fs_, data_, save_.rank);
      if (!meeting_.report(*failure)) raise(*failure);
    }
    meeting_.await();
  }

 private:
  void join_reports(std::vector<FileEntry>& files) {
    std::vector<FileEntry> others = meeting_.collect();
    std::move(others.begin(), others.end(), std::back_inserter(files));
    try {
      check_joins(files, /*whole=*/true);
    } catch (const DataError& error) {
      throw std::invalid_argument(
          fmt::format("the shards of the ranks do not form complete tensors: {}", error.what()));
    }
  }

  FileSystem& fs_;
  const FileSystem::Path& dir_;
  const SharedSave& save_;
  const Contribution& contribution_;
  FileSystem::Path data_, talk_;
  Meeting meeting_;
};

}  // namespace

void save_together(FileSystem& fs, const FileSystem::Path& dir, Scratch& scratch, const SharedSave& save,
                   const Contribution& contribution) {
  SharedSaver saver(fs, dir, save, contribution);
  try {
    save.rank == 0 ? saver.lead(scratch) : saver.follow();
  } catch (...) {
    raise(failure_of(std::current_exception(), fmt::format("saving checkpoint {}: ", step_name(save.step))));
  }
}

}  // namespace terse::checkpoints
