// Polls for files. A poll that fails counts as "not there yet": a transient disk error must not end a save, and a
// lasting one ends it at the deadline.
#include "checkpoints/meeting.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <thread>

namespace terse::checkpoints {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFirstPause{1};
constexpr milliseconds kLongestPause{200};
constexpr char kJson[] = "json";
constexpr char kPart[] = ".part";
constexpr char kDone[] = "done";
constexpr char kSaved[] = "saved";
constexpr char kFailed[] = "failed";
constexpr char kFailedJson[] = "failed.json";

// A polling timer: its pauses grow until the timeout has passed.
class Patience {
 public:
  explicit Patience(milliseconds time) : time_(time), end_(steady_clock::now() + time) {}

  // Sleeps. Returns false at once when the timeout has passed.
  bool pause() {
    const auto left = end_ - steady_clock::now();
    if (left <= steady_clock::duration::zero()) return false;
    std::this_thread::sleep_for(std::min<steady_clock::duration>(pause_, left));
    pause_ = std::min(pause_ * 2, kLongestPause);
    return true;
  }
  void renew() { end_ = steady_clock::now() + time_; }

 private:
  milliseconds time_;
  milliseconds pause_ = kFirstPause;
  steady_clock::time_point end_;
};

std::string seconds(milliseconds time) {
  return fmt::format("{} s", std::chrono::duration<double>(time).count());
}

}  // namespace

std::string rank_prefix(int rank) {
  return fmt::format("rank-{}.", rank);
}

void Meeting::open() {
  fs_.make_folder(folder_);
}

std::vector<FileEntry> Meeting::collect() {
  std::map<int, std::vector<FileEntry>> reports;
  silent_ = wait_for(others_at_work(), [&](int rank) { return take_report(rank, reports[rank]); });
  if (!silent_.empty()) {
    throw DiskError(
        fmt::format("rank {} sent no report and wrote nothing for {}", fmt::join(silent_, ", "), seconds(deadline_)),
        ETIMEDOUT);
  }
  std::vector<FileEntry> files;
  for (auto& [rank, entries] : reports) std::move(entries.begin(), entries.end(), std::back_inserter(files));
  return files;
}

void Meeting::announce(std::optional<Failure>& failure) {
  if (!failure) {
    try {
      fs_.create(folder_ / kSaved);  // an empty file; its name is the message
    } catch (const DiskError&) {
      failure = failure_of(std::current_exception(), "rank 0: ");
    }
  }
  if (failure) {
    try {
      prepare(kFailedJson, failure_text(*failure));
      put(kFailedJson);
    } catch (const DiskError&) {
      try {
        fs_.create(folder_ / kFailed);
      } catch (const DiskError&) {  // the other ranks notice that the folder is gone
      }
    }
  }
  wait_for(others_at_work(), [&](int rank) { return there(rank_prefix(rank) + kDone); });
}

void Meeting::join() {
  Patience patience(deadline_);
  while (true) {
    try {
      if (fs_.kind(folder_) == EntryKind::kFolder) return;
    } catch (const DiskError&) {
    }
    if (patience.pause()) continue;
    throw DiskError(fmt::format("rank {}: rank 0 did not start the save within {}: it did not create {}", rank_,
                                seconds(deadline_), folder_.string()),
                    ETIMEDOUT);
  }
}

void Meeting::prepare_report(const std::vector<FileEntry>& files) {
  prepare(rank_prefix(rank_) + kJson, files_text(files));
}

void Meeting::report() {
  put(rank_prefix(rank_) + kJson);
}

bool Meeting::report(const Failure& failure) {
  try {
    prepare(rank_prefix(rank_) + kFailedJson, failure_text(failure));
    put(rank_prefix(rank_) + kFailedJson);
    return true;
  } catch (const DiskError&) {
  }
  try {
    fs_.create(folder_ / (rank_prefix(rank_) + kFailed));
    return true;
  } catch (const DiskError&) {
    return false;
  }
}

void Meeting::await() {
  // Rank 0 may wait for another rank for nearly twice the deadline before it announces a failure.
  Patience patience(3 * deadline_);
  Signs seen = signs();
  while (true) {
    if (const std::optional<Announcement> heard = announcement()) {
      try {
        fs_.create(folder_ / (rank_prefix(rank_) + kDone));
      } catch (const DiskError&) {  // rank 0 waits for this file, but no longer than the deadline
      }
      if (heard->failure) raise(*heard->failure);
      return;
    }
    if (patience.pause()) continue;
    Signs now = signs();
    if (now == seen) break;
    seen = std::move(now);
    patience.renew();
  }
  throw DiskError(fmt::format("rank {}: the result of the save is unknown: rank 0 reported nothing for {}", rank_,
                              seconds(3 * deadline_)),
                  ETIMEDOUT);
}

bool Meeting::there(const std::string& name) const {
  try {
    return fs_.kind(folder_ / name) == EntryKind::kFile;
  } catch (const DiskError&) {
    return false;
  }
}

void Meeting::prepare(const std::string& name, const std::string& text) const {
  write_file(fs_, folder_ / (name + kPart), text);
}

void Meeting::put(const std::string& name) const {
  fs_.rename(folder_ / (name + kPart), folder_ / name);
}

std::set<int> Meeting::others_at_work() const {
  std::set<int> others;
  for (int rank = 1; rank < ranks_; ++rank) {
    if (!silent_.contains(rank)) others.insert(rank);
  }
  return others;
}

// Returns false when there is no report yet. Throws the failure that the rank reported.
bool Meeting::take_report(int rank, std::vector<FileEntry>& files) const {
  const std::string prefix = rank_prefix(rank);
  if (there(prefix + kFailed))
    throw DiskError(fmt::format("rank {} failed, and the disk had no space for its report", rank), ENOSPC);
  const bool failed = there(prefix + kFailedJson);
  const FileSystem::Path path = folder_ / (prefix + (failed ? kFailedJson : kJson));
  std::string text;
  try {
    if (!failed && fs_.kind(path) != EntryKind::kFile) return false;
    text = fs_.read(path, kMaxManifestBytes);
  } catch (const DiskError&) {
    return false;
  }
  try {
    if (failed) raise(parse_failure(text));
    files = parse_files(text);
    for (const FileEntry& file : files) {
      if (!file.name.starts_with(prefix))
        throw DataError(fmt::format("it lists {}, which is not a file of this rank", file.name));
    }
  } catch (const DataError& error) {
    throw DiskError(fmt::format("the report {} of rank {} is damaged: {}", path.string(), rank, error.what()), EIO);
  }
  return true;
}

std::optional<Meeting::Announcement> Meeting::announcement() const {
  const auto lost = [this](const char* how, int error) {
    return Announcement{Failure{Failure::Kind::kDisk,
                                fmt::format("rank {}: the result of the save is unknown: {}", rank_, how), error}};
  };
  if (there(kSaved)) return Announcement{};
  if (there(kFailed)) return lost("rank 0 failed, and the disk had no space for its report", ENOSPC);
  try {
    if (there(kFailedJson)) return Announcement{parse_failure(fs_.read(folder_ / kFailedJson, kMaxManifestBytes))};
    if (fs_.kind(folder_) == EntryKind::kNone) return lost("rank 0 ended without a report", ECONNABORTED);
  } catch (const DiskError&) {
  } catch (const DataError& error) {
    return lost(error.what(), EIO);
  }
  return std::nullopt;
}

// Returns the ranks that showed no progress for the whole deadline; empty when all are done.
std::set<int> Meeting::wait_for(std::set<int> ranks, const std::function<bool(int)>& done) const {
  Patience patience(deadline_);
  Signs seen = signs();
  while (true) {
    std::erase_if(ranks, done);
    if (ranks.empty()) return {};
    if (patience.pause()) continue;
    Signs now = signs();
    std::set<int> silent;
    for (const int rank : ranks) {
      if (now[rank] == seen[rank]) silent.insert(rank);
    }
    if (!silent.empty()) return silent;
    seen = std::move(now);
    patience.renew();
  }
}

Meeting::Signs Meeting::signs() const {
  Signs signs;
  try {
    for (const Entry& entry : fs_.list(data_)) {
      int rank = 0;
      if (std::sscanf(entry.name.c_str(), "rank-%d.", &rank) != 1) continue;
      auto& [files, bytes] = signs[rank];
      ++files;
      bytes += entry.bytes;
    }
  } catch (const DiskError&) {
  }
  return signs;
}

}  // namespace terse::checkpoints
