// The messages between the ranks of one save. They are small files in a folder that all ranks see. So background
// threads need no network library, and no agreed order with the messages of training. One rank alone exchanges none.
//
// Rank 0 creates the folder. Every other rank writes its report: rank-<r>.json with the entries of its shard files, or
// rank-<r>.failed.json. Rank 0 announces the result of the save: `saved` or failed.json. Every other rank confirms that
// it has read the announcement (rank-<r>.done). Then rank 0 removes the folder. The content of a file appears all at
// once, by a rename. When a disk has no room for the reason of a failure, an empty rank-<r>.failed or `failed` is
// written instead. These files need not survive a crash: nothing outlives the save, and a new start removes leftovers.
#pragma once

#include <exception>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoints/format/manifest.h"

namespace terse::checkpoints {

// One rank's side of the exchange. No rank waits for another one for longer than the deadline without a sign of
// progress, which is a growing shard file. With one rank, begin(), collect(), withdraw() and conclude() do nothing.
class SaveCoordinator {
 public:
  // `folder` holds the shard files of all ranks, and `messages` the messages. `options` must outlive the object.
  SaveCoordinator(const StoreOptions& options, FileSystem::Path folder, FileSystem::Path messages);

  // Rank 0 creates the folder of the messages; the other ranks wait until it exists. Throws DiskError. Until begin()
  // has returned, withdraw() and conclude() do nothing.
  void begin();

  // Rank 0 calls this; it waits for all reports and returns the entries of all ranks in rank order, beginning with its
  // own `files`. Throws the failure that a rank reported, DiskError with the ranks that stay silent, or
  // std::invalid_argument when the pieces of a tensor do not cover it. The messages name the rank.
  std::vector<FileEntry> collect(std::vector<FileEntry> files);

  // The other ranks call these; they report in two steps that this rank's shard files are on disk. Both throw
  // DiskError. Once report() has been called, rank 0 may rely on the files, even if report() throws.
  void prepare_report(const std::vector<FileEntry>& files);
  void report();

  // Removes this rank's shard files, because its part of the save failed. It does so at once: on a full disk the other
  // ranks need this space to write their messages.
  void withdraw();

  // Agrees on the result of the save. Each rank passes its failure, or nullptr, and gets the result in its place:
  // nullptr when the save succeeded on all ranks, otherwise the failure that rank 0 announces. A rank that misses the
  // announcement gets a DiskError that says so, and one that cannot report its failure keeps it. Rank 0 gets a
  // DiskError when it cannot announce a success.
  void conclude(std::exception_ptr& failure);

 private:
  // The number of shard files of each rank, and their bytes.
  using Progress = std::map<int, std::pair<uint64_t, uint64_t>>;

  bool exists(const std::string& message) const;
  void prepare(const std::string& message, const std::string& text) const;
  void send(const std::string& message) const;
  bool send_failure(const std::string& prefix, const std::exception_ptr& failure) const;
  bool read_report(int rank, std::vector<FileEntry>& files) const;
  void announce(std::exception_ptr& failure) const;
  std::optional<std::exception_ptr> read_announcement() const;
  std::exception_ptr await_announcement() const;
  std::exception_ptr unknown_result(const std::string& reason, int error) const;
  std::set<int> wait_for_others(const std::function<bool(int)>& done) const;
  Progress progress() const;

  const StoreOptions& options_;
  FileSystem& fs_;
  FileSystem::Path folder_, messages_;
  bool begun_ = false;
  std::set<int> silent_;  // ranks that are no longer waited for
};

}  // namespace terse::checkpoints
