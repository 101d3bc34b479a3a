// The protocol between the ranks of one save. The ranks communicate through small files in a folder that all of them
// see. So background threads need no network library, and no agreed order with the messages of training.
//
// Rank 0 creates the folder. Every other rank writes its report: rank-<r>.json with the entries of its shard files, or
// rank-<r>.failed.json. Rank 0 announces the result of the save: `saved` or failed.json. Every other rank confirms that
// it has read the announcement (rank-<r>.done). Then rank 0 removes the folder. The content of a file appears all at
// once, by a rename. When a disk has no room for the reason of a failure, an empty rank-<r>.failed or `failed` is
// written instead. These files need not survive a crash: nothing outlives the save, and a new start removes leftovers.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoints/failure.h"
#include "checkpoints/format/manifest.h"

namespace terse::checkpoints {

// One rank's side of the protocol. Rank 0 calls open(), collect() and announce(); the other ranks call the rest.
class Meeting {
 public:
  // `folder` holds the messages. `data` holds the shard files of all ranks; growing files there show that a rank makes
  // progress. No rank waits for another one for longer than the deadline without such progress.
  Meeting(FileSystem& fs, FileSystem::Path folder, FileSystem::Path data, int rank, int ranks,
          std::chrono::milliseconds deadline)
      : fs_(fs), folder_(std::move(folder)), data_(std::move(data)), rank_(rank), ranks_(ranks), deadline_(deadline) {}

  void open();  // throws DiskError
  // Waits for all reports and returns their entries in rank order. Throws the failure that a rank reported, or
  // DiskError with the ranks that stay silent.
  std::vector<FileEntry> collect();
  // Announces the result and waits until the other ranks have read it. If the success cannot be announced, sets
  // `failure` and announces that.
  void announce(std::optional<Failure>& failure);

  // Waits until rank 0 has created the folder; throws DiskError when it does not.
  void join();
  // Reports that this rank's files are complete, in two steps that throw DiskError. Once report() has been called, rank
  // 0 may rely on the files, even if report() throws.
  void prepare_report(const std::vector<FileEntry>& files);
  void report();
  bool report(const Failure& failure);  // returns false when the disk refuses this too
  // Waits for rank 0's announcement. Returns when the save succeeded, and throws the announced failure otherwise.
  // Throws DiskError when no announcement arrives.
  void await();

 private:
  // The progress of each rank: the number of its shard files, and their bytes.
  using Signs = std::map<int, std::pair<uint64_t, uint64_t>>;
  struct Announcement {
    std::optional<Failure> failure;
  };

  bool there(const std::string& name) const;
  void prepare(const std::string& name, const std::string& text) const;
  void put(const std::string& name) const;
  std::set<int> others_at_work() const;
  bool take_report(int rank, std::vector<FileEntry>& files) const;
  std::optional<Announcement> announcement() const;
  std::set<int> wait_for(std::set<int> ranks, const std::function<bool(int)>& done) const;
  Signs signs() const;

  FileSystem& fs_;
  FileSystem::Path folder_, data_;
  int rank_, ranks_;
  std::chrono::milliseconds deadline_;
  std::set<int> silent_;  // ranks that are no longer waited for
};

// The prefix of the names of this rank's files: "rank-2.".
std::string rank_prefix(int rank);

}  // namespace terse::checkpoints
