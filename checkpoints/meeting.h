// How the ranks of one save talk: through small files in a folder that they all see, so that background threads need
// neither a network library nor an order with training's own messages.
//
// Rank 0 opens the folder. Every other rank puts in its report: rank-<r>.json, the entries of its shard files, or
// rank-<r>.failed.json. Rank 0 announces how the save ended: `saved`, or failed.json. Every rank confirms that it has
// read that (rank-<r>.done), then rank 0 takes the folder away. What a file says appears whole, by a rename. When a
// disk has no room for the reason of a failure, an empty rank-<r>.failed or `failed` stands in. Nothing in here
// outlives the save: it need not survive a crash, and a new start removes it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoints/failure.h"
#include "checkpoints/manifest.h"

namespace terse::checkpoints {

// One rank's side. The first three are rank 0's, the others the other ranks'.
class Meeting {
 public:
  // `folder`: where they talk. `data`: where they write; files that grow there are the sign that a rank is at work.
  // Nobody waits for another one for longer than the deadline without such a sign.
  Meeting(FileSystem& fs, FileSystem::Path folder, FileSystem::Path data, int rank, int ranks,
          std::chrono::milliseconds deadline)
      : fs_(fs), folder_(std::move(folder)), data_(std::move(data)), rank_(rank), ranks_(ranks), deadline_(deadline) {}

  void open();  // throws DiskError
  // Waits for all reports; returns their entries in the order of the ranks. Throws what a rank reported, or DiskError
  // naming the ranks that stay silent.
  std::vector<FileEntry> collect();
  // Tells how the save ended and waits until the others know. When success cannot be told, it is a failure after all.
  void announce(std::optional<Failure>& failure);

  // Waits until rank 0 has opened the meeting; throws DiskError when it does not.
  void join();
  // Says that this rank's files are written, in two steps that throw DiskError: from the second on, even when it
  // throws, rank 0 may rely on the files.
  void prepare_report(const std::vector<FileEntry>& files);
  void report();
  bool report(const Failure& failure);  // false when the disk refuses even that
  // Waits for rank 0's announcement: returns when all is saved, throws what it says otherwise, and DiskError when it
  // does not come.
  void await();

 private:
  // How much a rank has written: the number of its files, and their bytes.
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

// The files of `rank` start with this: "rank-2.".
std::string rank_prefix(int rank);

}  // namespace terse::checkpoints
