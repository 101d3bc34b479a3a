// Polls for files. A poll that fails counts as "not there yet": a transient disk error must not end a save, and a
// lasting one ends it at the deadline.
#include "checkpoints/save_coordinator.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <thread>

#include "checkpoints/failure.h"

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

// Calls `done` until it returns true, with pauses that grow. After each deadline it asks for progress, and returns
// false when there is none.
bool poll(milliseconds deadline, const std::function<bool()>& done, const std::function<bool()>& has_progress) {
  auto end = steady_clock::now() + deadline;
  milliseconds pause = kFirstPause;
  while (!done()) {
    const auto left = end - steady_clock::now();
    if (left > steady_clock::duration::zero()) {
      std::this_thread::sleep_for(std::min<steady_clock::duration>(pause, left));
      pause = std::min(pause * 2, kLongestPause);
    } else if (has_progress()) {
      end = steady_clock::now() + deadline;
    } else {
      return false;
    }
  }
  return true;
}

std::string seconds(milliseconds time) {
  return fmt::format("{} s", std::chrono::duration<double>(time).count());
}

// Returns the text that the names of a rank's files begin with.
std::string rank_prefix(int rank) {
  return fmt::format("rank-{}.", rank);
}

}  // namespace

SaveCoordinator::SaveCoordinator(const StoreOptions& options, FileSystem::Path folder, FileSystem::Path messages)
    : options_(options), fs_(*options.fs), folder_(std::move(folder)), messages_(std::move(messages)) {}

void SaveCoordinator::begin() {
  if (options_.ranks == 1) return;
  const auto has_folder = [this] {
    try {
      return fs_.kind(messages_) == EntryKind::kFolder;
    } catch (const DiskError&) {
      return false;
    }
  };
  if (options_.rank == 0) {
    fs_.make_folder(messages_);
  } else if (!poll(options_.deadline, has_folder, [] { return false; })) {
    throw DiskError(fmt::format("rank 0 did not start the save within {}: it did not create {}",
                                seconds(options_.deadline), messages_.string()),
                    ETIMEDOUT);
  }
  begun_ = true;
}

std::vector<FileEntry> SaveCoordinator::collect(std::vector<FileEntry> files) {
  if (options_.ranks == 1) return files;
  std::map<int, std::vector<FileEntry>> reports;
  silent_ = wait_for_others([&](int rank) { return read_report(rank, reports[rank]); });
  if (!silent_.empty()) {
    throw DiskError(fmt::format("rank {} sent no report and wrote nothing for {}", fmt::join(silent_, ", "),
                                seconds(options_.deadline)),
                    ETIMEDOUT);
  }
  for (auto& [rank, entries] : reports) std::move(entries.begin(), entries.end(), std::back_inserter(files));
  try {
    check_joins(files, /*whole=*/true);
  } catch (const DataError& error) {
    throw std::invalid_argument(fmt::format("the shards of the ranks do not form complete tensors: {}", error.what()));
  }
  return files;
}

void SaveCoordinator::prepare_report(const std::vector<FileEntry>& files) {
  prepare(rank_prefix(options_.rank) + kJson, files_text(files));
}

void SaveCoordinator::report() {
  send(rank_prefix(options_.rank) + kJson);
}

void SaveCoordinator::withdraw() {
  if (!begun_) return;
  try {
    for (const Entry& entry : fs_.list(folder_)) {
      if (!entry.name.starts_with(rank_prefix(options_.rank))) continue;
      try {
        fs_.remove(folder_ / entry.name);
      } catch (const DiskError&) {  // rank 0 removes the whole folder later
      }
    }
  } catch (const DiskError&) {
  }
}

void SaveCoordinator::conclude(std::exception_ptr& failure) {
  if (!begun_) return;
  if (options_.rank == 0) return announce(failure);
  // A rank whose report the disk refuses does not wait: rank 0 hears nothing from it.
  if (failure && !send_failure(rank_prefix(options_.rank), failure)) return;
  failure = await_announcement();
}

bool SaveCoordinator::exists(const std::string& message) const {
  try {
    return fs_.kind(messages_ / message) == EntryKind::kFile;
  } catch (const DiskError&) {
    return false;
  }
}

void SaveCoordinator::prepare(const std::string& message, const std::string& text) const {
  write_file(fs_, messages_ / (message + kPart), text);
}

void SaveCoordinator::send(const std::string& message) const {
  fs_.rename(messages_ / (message + kPart), messages_ / message);
}

// Returns false when the disk refuses even an empty file.
bool SaveCoordinator::send_failure(const std::string& prefix, const std::exception_ptr& failure) const {
  try {
    prepare(prefix + kFailedJson, failure_text(failure));
    send(prefix + kFailedJson);
    return true;
  } catch (const DiskError&) {
  }
  try {
    fs_.create(messages_ / (prefix + kFailed));
    return true;
  } catch (const DiskError&) {
    return false;
  }
}

// Returns false when there is no report yet. Throws the failure that the rank reported.
bool SaveCoordinator::read_report(int rank, std::vector<FileEntry>& files) const {
  const std::string prefix = rank_prefix(rank);
  if (exists(prefix + kFailed))
    throw DiskError(fmt::format("rank {} failed, and the disk had no space for its report", rank), ENOSPC);
  const bool failed = exists(prefix + kFailedJson);
  const FileSystem::Path path = messages_ / (prefix + (failed ? kFailedJson : kJson));
  std::string text;
  try {
    if (!failed && fs_.kind(path) != EntryKind::kFile) return false;
    text = fs_.read(path, kMaxManifestBytes);
  } catch (const DiskError&) {
    return false;
  }
  try {
    if (failed) std::rethrow_exception(parse_failure(text));
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

// Announces the result and waits until the other ranks have read it.
void SaveCoordinator::announce(std::exception_ptr& failure) const {
  if (!failure) {
    try {
      fs_.create(messages_ / kSaved);  // an empty file; its name is the message
    } catch (const DiskError&) {
      failure = with_context(std::current_exception(), "rank 0: ");
    }
  }
  // When the disk refuses the failure too, the other ranks notice later that the folder is gone.
  if (failure) send_failure("", failure);
  wait_for_others([this](int rank) { return exists(rank_prefix(rank) + kDone); });
}

// Returns nullopt when there is no announcement yet, and an empty pointer when rank 0 announces a success.
std::optional<std::exception_ptr> SaveCoordinator::read_announcement() const {
  if (exists(kSaved)) return std::exception_ptr();
  if (exists(kFailed)) return unknown_result("rank 0 failed, and the disk had no space for its report", ENOSPC);
  try {
    if (exists(kFailedJson)) return parse_failure(fs_.read(messages_ / kFailedJson, kMaxManifestBytes));
    if (fs_.kind(messages_) == EntryKind::kNone) return unknown_result("rank 0 ended without a report", ECONNABORTED);
  } catch (const DiskError&) {
  } catch (const DataError& error) {
    return unknown_result(error.what(), EIO);
  }
  return std::nullopt;
}

// Returns the result that rank 0 announces, or DiskError when it announces none.
std::exception_ptr SaveCoordinator::await_announcement() const {
  // Rank 0 may wait for another rank for nearly twice the deadline before it announces a failure.
  const milliseconds deadline = 3 * options_.deadline;
  std::optional<std::exception_ptr> result;
  Progress before = progress();
  const auto announced = [&] {
    result = read_announcement();
    return result.has_value();
  };
  const auto has_progress = [&] {
    Progress now = progress();
    std::swap(before, now);
    return before != now;
  };
  if (!poll(deadline, announced, has_progress)) {
    return unknown_result(fmt::format("rank 0 reported nothing for {}", seconds(deadline)), ETIMEDOUT);
  }
  try {
    fs_.create(messages_ / (rank_prefix(options_.rank) + kDone));
  } catch (const DiskError&) {  // rank 0 waits for this file, but no longer than the deadline
  }
  return *result;
}

std::exception_ptr SaveCoordinator::unknown_result(const std::string& reason, int error) const {
  return std::make_exception_ptr(
      DiskError(fmt::format("rank {}: the result of the save is unknown: {}", options_.rank, reason), error));
}

// Waits until `done` returns true for every rank that is not silent. Returns the ranks that showed no progress for the
// whole deadline.
std::set<int> SaveCoordinator::wait_for_others(const std::function<bool(int)>& done) const {
  std::set<int> waiting, silent;
  for (int rank = 1; rank < options_.ranks; ++rank) {
    if (!silent_.contains(rank)) waiting.insert(rank);
  }
  Progress before = progress();
  const auto all_done = [&] {
    std::erase_if(waiting, done);
    return waiting.empty();
  };
  const auto has_progress = [&] {
    Progress now = progress();
    for (const int rank : waiting) {
      if (now[rank] == before[rank]) silent.insert(rank);
    }
    before = std::move(now);
    return silent.empty();
  };
  poll(options_.deadline, all_done, has_progress);
  return silent;
}

SaveCoordinator::Progress SaveCoordinator::progress() const {
  Progress progress;
  try {
    for (const Entry& entry : fs_.list(folder_)) {
      int rank = 0;
      if (std::sscanf(entry.name.c_str(), "rank-%d.", &rank) != 1) continue;
      auto& [files, bytes] = progress[rank];
      ++files;
      bytes += entry.bytes;
    }
  } catch (const DiskError&) {
  }
  return progress;
}

}  // namespace terse::checkpoints
